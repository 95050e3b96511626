"""What keeps a container in, one name for each defence, so that a test can take one out?

Each has been missing in a real runtime. `container.run` takes `Defences()`, which has all of them. A test shows that
an attack works without a defence, and fails with it. Nobody else has a reason to take one out.
"""

from dataclasses import dataclass

__all__ = ["ALL", "Defences"]


@dataclass(frozen=True, slots=True)
class Defences:
    """True: the defence is there."""

    # Targets of mounts are opened once, within the root directory, and mounts are attached to what was opened.
    # Without it, a symlink in the image leads to the host: CVE-2019-16884, CVE-2021-30465, CVE-2025-52565.
    opens_targets_in_root: bool = True
    # What is laid over masked files is looked at after it was opened: it must be the device null. CVE-2025-31133.
    checks_null: bool = True
    # Settings of the kernel are written in a /proc that was just made, whatever lies at /proc: CVE-2025-52881.
    writes_to_own_proc: bool = True
    # The old root directory is unmounted (pivot_root), and not only out of sight (chroot).
    pivots_root: bool = True
    # Descriptors are closed when the program is executed, and before it changes its directory: CVE-2024-21626.
    closes_descriptors: bool = True
    # The working directory must lie within the root directory: CVE-2024-21626 again.
    checks_cwd: bool = True
    # The program is no link of /proc that leads to the runtime itself, and the runtime's /proc entry cannot be read by
    # others: CVE-2019-5736, CVE-2016-9962. Nor can the runtime be overwritten: who has made the container runs to its
    # end, and the kernel lets nobody write to a program that runs (ETXTBSY).
    hides_runtime: bool = True
    # Files are copied out of a container by lookups within its root directory: CVE-2018-15664.
    copies_in_root: bool = True


ALL = Defences()
