"""Do known ways out of a container lead out of ours? Run in a machine; prints a line "NAME<tab>trouble" for each.

Each fact first shows that the attack works where a defence is taken out, and then that it fails with the defence. What
is attacked are files that the fact has made.
"""

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from labkit.errors import ContainerError
from labkit.isolation import container
from labkit.isolation.container import run, start
from labkit.isolation.copying import read_file
from labkit.isolation.defences import ALL, Defences
from labkit.isolation.docker_defaults import KERNEL_FILE_SYSTEMS
from labkit.isolation.first_process import STEPS, Order
from labkit.isolation.handle import Finished
from labkit.isolation.join import execute_in
from labkit.isolation.layers import image_spec, read_image
from labkit.isolation.spec import Capabilities, Limits, Mount, Root
from labkit.linux import syscalls
from labkit.linux.cgroups import Group
from labkit.linux.proc import read_effective_capabilities
from tests.machine import container_facts
from tests.machine.facts import named

__all__ = ["FACTS", "main"]

IMAGE = "busybox"
SECRET = b"only the host knows"
EVERY_RIGHT = Capabilities(*[read_effective_capabilities()] * 3)  # all that the machine has
PYTHON = os.path.realpath(sys.executable)
# What a Python of the machine needs to run in a container.
LIBRARIES = tuple(
    Mount(path, "bind", path, ("ro",)) for path in ("/usr", "/lib", "/lib64", sys.base_prefix) if os.path.isdir(path)
)


@contextmanager
def host_directory() -> Iterator[Path]:
    """A directory of the host with a file that no container is given."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="escape") as name:
        (Path(name) / "secret").write_bytes(SECRET)
        yield Path(name)


@contextmanager
def hostile_root(make: Callable[[Path], object]) -> Iterator[Root]:
    """busybox, and over it a layer that an attacker has made."""
    with tempfile.TemporaryDirectory(dir="/run", prefix="escape") as name:
        make(Path(name))
        yield Root((name, *read_image(IMAGE)[0].layers))


def attempt(line: str, defences: Defences = ALL, **changes: Any) -> Finished | str:
    """Run a line of shell; what the container was refused for, if it was not started."""
    try:
        return run(image_spec(IMAGE, ["sh", "-c", line], **changes), defences=defences, timeout_s=60)
    except ContainerError as error:
        return str(error)


def has_secret(done: Finished | str) -> bool:
    return isinstance(done, Finished) and SECRET in done.stdout


# --- descriptors and the runtime ------------------------------------------------------------------------------


def a_leaked_descriptor_is_no_working_directory() -> None:
    """CVE-2024-21626: runc left a descriptor of the host open; /proc/self/fd/N as WORKDIR led there."""
    with host_directory() as directory:
        leaked = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        os.dup2(leaked, 100)
        line, cwd = f"cat ./{directory}/secret", "/proc/self/fd/100"
        neither = replace(ALL, closes_descriptors=False, checks_cwd=False)
        try:
            assert has_secret(attempt(line, neither, cwd=cwd)), "the attack does not work"
            for one in (replace(neither, closes_descriptors=True), replace(neither, checks_cwd=True), ALL):
                assert not has_secret(attempt(line, one, cwd=cwd)), one
            assert "outside of the container" in str(attempt(line, replace(ALL, closes_descriptors=False), cwd=cwd))
        finally:
            os.close(100)
            os.close(leaked)


def a_leaked_descriptor_is_no_working_directory_of_who_joins() -> None:
    """CVE-2024-21626 by `docker exec -w /proc/self/fd/N`."""
    with host_directory() as directory:
        leaked = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        os.dup2(leaked, 100)
        box = start(IMAGE, ["sleep", "600"])
        neither = replace(ALL, closes_descriptors=False, checks_cwd=False)
        args, cwd = ["cat", f"./{directory}/secret"], "/proc/self/fd/100"
        try:
            assert execute_in(box, args, cwd=cwd, defences=neither).stdout == SECRET, "the attack does not work"
            for one in (replace(neither, closes_descriptors=True), replace(neither, checks_cwd=True), ALL):
                container_facts.refused(lambda one=one: execute_in(box, args, cwd=cwd, defences=one))  # type: ignore[misc]
        finally:
            container.remove(box)
            os.close(100)
            os.close(leaked)


OVERWRITE = """
import os
file = os.open("/proc/self/exe", os.O_RDONLY)
os.set_inheritable(file, True)
write = f"for i in 1 2 3 4 5 6 7 8 9; do echo overwritten > /proc/self/fd/{file} && exit 0; sleep 0.2; done; exit 1"
os.execv("/bin/sh", ["sh", "-c", write])
"""


def the_runtime_is_not_reached_by_a_link_of_proc() -> None:
    """CVE-2019-5736: a container whose program is /proc/self/exe is given the runtime itself."""
    code = "import os; print(os.stat('/proc/self/exe').st_ino)"
    spec = image_spec(IMAGE, ["/proc/self/exe", "-S", "-c", code], mounts=(*KERNEL_FILE_SYSTEMS, *LIBRARIES))
    reached = run(spec, defences=replace(ALL, hides_runtime=False))
    assert reached.stdout.strip() == str(os.stat("/proc/self/exe").st_ino).encode(), reached
    said = container_facts.refused(lambda: run(spec))
    assert "leads through a link of /proc" in said, said


def the_runtime_cannot_be_overwritten_while_it_runs() -> None:
    """CVE-2019-5736 by the interpreter of a script: who made the container runs the same file (ETXTBSY)."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="escape") as folder, hostile_root(script_root) as root:
        copy = Path(folder) / "python3"
        copy.write_bytes(Path(PYTHON).read_bytes())
        copy.chmod(0o755)
        before = copy.read_bytes()
        for attack, is_safe in ((attack_on_who_stays, True), (attack_on_who_leaves, False)):
            program = f"import sys; sys.path[:] = {sys.path!r}; from tests.machine import escape_facts as e"
            done = subprocess.run(
                [copy, "-P", "-c", f"{program}; e.{attack.__name__}({root.layers!r})"],
                env={"PYTHONHOME": sys.base_prefix, "PATH": os.environ["PATH"]},
                capture_output=True,
                timeout=60,
                check=False,
            )
            container_facts.wait_until(lambda: copy.read_bytes() != before, 0.5 if is_safe else 10)
            assert (copy.read_bytes() == before) == is_safe, (attack.__name__, done)


def script_root(folder: Path) -> None:
    (folder / "attack").write_text(f"#!/proc/self/exe -S\n{OVERWRITE}")
    (folder / "attack").chmod(0o755)


def attack_on_who_stays(layers: tuple[str, ...]) -> None:
    """In a runtime that runs from a copy of Python: see above."""
    mounts = (*KERNEL_FILE_SYSTEMS, *LIBRARIES)
    run(image_spec(IMAGE, ["/attack"], root=Root(layers), mounts=mounts), timeout_s=30)


def attack_on_who_leaves(layers: tuple[str, ...]) -> None:
    """The same steps in a process whose maker ends at once, as runc does: nothing keeps its program busy."""
    spec = image_spec(IMAGE, ["/attack"], root=Root(layers), mounts=(*KERNEL_FILE_SYSTEMS[:3], *LIBRARIES))
    spec = replace(spec, namespaces=("mount", "pid"), sysctl={})
    null = fcntl.fcntl(os.open("/dev/null", os.O_RDWR), fcntl.F_DUPFD_CLOEXEC, 10)
    if syscalls.clone3(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID) == 0:
        for number in (3, 4, 5):
            os.dup2(null, number, inheritable=False)
        order = Order(spec, Group("", {}), (null, null, null), 3, 4, False, ALL, None)
        for name, step in STEPS:
            if name != "join groups":
                step(order)


# --- targets of mounts ----------------------------------------------------------------------------------------


def a_symlink_does_not_lead_a_mount_to_the_host() -> None:
    """CVE-2021-30465, CVE-2025-52565: the target of a mount is a symlink to a directory of the host."""
    with host_directory() as directory:

        def make(top: Path) -> None:
            (top / "data").symlink_to(directory)
            top.joinpath(*directory.parts[1:]).mkdir(parents=True)

        with hostile_root(make) as root:
            check_symlinked_target(directory, root)


def check_symlinked_target(directory: Path, root: Root) -> None:
    mounts = (*KERNEL_FILE_SYSTEMS, Mount("/data/new", "tmpfs"))
    attempt("true", replace(ALL, opens_targets_in_root=False), root=root, mounts=mounts)
    assert os.path.isdir(directory / "new"), "the attack does not work"
    (directory / "new").rmdir()
    assert "Too many levels of symbolic links" in str(attempt("true", root=root, mounts=mounts))
    # What is bound may lie behind a symlink, within the root directory.
    mounts = (*KERNEL_FILE_SYSTEMS, Mount("/data/new", "bind", "/usr/bin"))
    done = attempt(f"ls {directory}/new | head -1", root=root, mounts=mounts)
    assert isinstance(done, Finished) and done.stdout, done
    assert os.listdir(directory) == ["secret"]


def a_symlink_at_proc_or_dev_is_refused() -> None:
    """CVE-2019-16884, CVE-2025-52881: /proc lies elsewhere, and at /proc lies what the attacker wants."""
    for name, fstype in (("proc", "proc"), ("dev", "tmpfs"), ("sys", "sysfs")):

        def make(top: Path, name: str = name) -> None:
            (top / "var/tmp/decoy").mkdir(parents=True)
            os.symlink("/var/tmp/decoy", top / name)

        with hostile_root(make) as root:
            Path("/var/tmp/decoy").mkdir(exist_ok=True)
            mounts = tuple(
                mount for mount in KERNEL_FILE_SYSTEMS if mount.fstype == fstype and "shm" not in mount.source
            )
            off = replace(ALL, opens_targets_in_root=False, checks_null=False, writes_to_own_proc=False)
            line = f"grep -q ' /{name} ' /proc/mounts"
            found = attempt(
                line, off, root=root, mounts=mounts, masked_paths=(), readonly_paths=(), devices=(), sysctl={}
            )
            assert isinstance(found, Finished) and found.status != 0, f"the attack does not work: {found}"
            said = attempt(line, root=root, mounts=mounts, masked_paths=(), readonly_paths=(), devices=(), sysctl={})
            assert isinstance(said, str) and f"{fstype} at /{name}" in said, said
    os.rmdir("/var/tmp/decoy")


def a_false_null_masks_nothing() -> None:
    """CVE-2025-31133: /dev/null is a symlink, and its target is laid over the path that is to be masked."""
    with host_directory() as directory:

        def make(top: Path) -> None:
            (top / "dev").mkdir()
            (top / "dev/null").symlink_to(directory / "secret")

        with hostile_root(make) as root:
            changes: dict[str, Any] = {"root": root, "mounts": KERNEL_FILE_SYSTEMS[:1], "devices": ()}
            changes |= {"masked_paths": ("/proc/keys",), "sysctl": {}}
            assert has_secret(attempt("cat /proc/keys", replace(ALL, checks_null=False), **changes)), "no attack"
            assert "Too many levels of symbolic links" in str(attempt("cat /proc/keys", **changes))
        with hostile_root(lambda top: ((top / "dev").mkdir(), (top / "dev/null").write_text("x"))) as root:
            changes["root"] = root
            assert "this is not the device null" in str(attempt("cat /proc/keys", **changes))


def settings_are_not_written_to_a_false_proc() -> None:
    """CVE-2025-52881: what lies at /proc leads a write of the runtime to another file."""
    knob = "net.ipv4.ip_unprivileged_port_start"
    with host_directory() as directory:

        def make(top: Path) -> None:
            (top / "proc/sys/net/ipv4").mkdir(parents=True)
            (top / "proc" / "sys" / knob.replace("net.ipv4.", "net/ipv4/")).symlink_to(directory / "secret")

        with hostile_root(make) as root:
            changes: dict[str, Any] = {"root": root, "mounts": (), "devices": (), "masked_paths": ()}
            changes |= {"readonly_paths": (), "sysctl": {knob: "80"}}
            attempt("true", replace(ALL, writes_to_own_proc=False), **changes)
            assert (directory / "secret").read_bytes().startswith(b"80"), "the attack does not work"
            (directory / "secret").write_bytes(SECRET)
            done = attempt("true", **changes)
            assert isinstance(done, Finished), done
            assert (directory / "secret").read_bytes() == SECRET


# --- files and the root directory -----------------------------------------------------------------------------


def a_swapped_symlink_does_not_lead_a_copy_to_the_host() -> None:
    """CVE-2018-15664: between the look at a path and its opening, a directory becomes a symlink."""
    with host_directory() as directory:
        swap = f"rm -r /data; ln -s {directory} /data"
        for defences, expected in ((replace(ALL, copies_in_root=False), SECRET), (ALL, b"")):
            box = start(IMAGE, ["sh", "-c", "mkdir /data; echo of the box > /data/secret; sleep 600"])
            container_facts.wait_until(lambda box=box: execute_in(box, ["cat", "/data/secret"]).status == 0)  # type: ignore[misc]
            assert read_file(box, "/data/secret", defences=defences) == b"of the box\n"
            found = b""
            try:
                found = read_file(
                    box,
                    "/data/secret",
                    defences=defences,
                    between=lambda box=box: execute_in(box, ["sh", "-c", swap]),  # type: ignore[misc]
                )
            except FileNotFoundError:
                pass
            finally:
                container.remove(box)
            assert found == expected, (defences, found)


CHROOT_TWICE = """
import os, sys
os.mkdir("/tmp/below")
os.chroot("/tmp/below")  # the working directory is now outside of the root directory
for _ in range(64):
    os.chdir("..")
os.chroot(".")
print(open(sys.argv[1]).read())
"""


def a_second_chroot_does_not_lead_out() -> None:
    """Who may call chroot climbs out of a root directory that chroot has made: nothing lies above one of pivot_root."""
    with host_directory() as directory:
        args = [PYTHON, "-S", "-c", CHROOT_TWICE, f"{directory}/secret"]
        spec = image_spec(IMAGE, args, mounts=(*KERNEL_FILE_SYSTEMS, *LIBRARIES))
        climbed = run(spec, defences=replace(ALL, pivots_root=False))
        assert SECRET in climbed.stdout, climbed
        stayed = run(spec)
        assert SECRET not in stayed.stdout and b"FileNotFoundError" in stayed.stderr, stayed


# --- the kernel -----------------------------------------------------------------------------------------------


def a_device_node_opens_nothing() -> None:
    """mknod is allowed, as in Docker; the control group keeps the device closed."""
    node = "mknod /tmp/node c 10 229 && : < /tmp/node"  # fuse: each machine has it
    free = attempt(node, limits=Limits(only_these_devices=False))
    assert isinstance(free, Finished) and free.status == 0, free
    held = attempt(node)
    assert isinstance(held, Finished) and b"not permitted" in held.stderr, held


def mounts_and_namespaces_need_two_mistakes() -> None:
    """A mount, a namespace: refused by the capabilities and by the filter, each alone."""
    for line in ("mount -t tmpfs none /tmp", "mount -o remount,rw /proc/sys", "unshare -m true"):
        both_out = attempt(line, capabilities=EVERY_RIGHT, seccomp=())
        assert isinstance(both_out, Finished) and both_out.status == 0, (line, both_out)
        for changes in ({"capabilities": EVERY_RIGHT}, {"seccomp": ()}, {}):
            held = attempt(line, **changes)
            assert isinstance(held, Finished) and held.status != 0, (line, changes, held)
            assert b"not permitted" in held.stderr or b"permission denied" in held.stderr, (line, changes, held)


def a_user_namespace_is_refused_by_the_filter() -> None:
    """It needs no capability: in it, one would have all of them."""
    free = attempt("unshare -U id -u", seccomp=())
    assert isinstance(free, Finished) and free.status == 0, free
    held = attempt("unshare -U id -u")
    assert isinstance(held, Finished) and b"not permitted" in held.stderr, held


def masked_files_say_nothing() -> None:
    """kcore (the memory of the kernel) where there is one, and keys."""
    for path in filter(os.path.exists, ("/proc/kcore", "/proc/timer_list", "/proc/keys")):
        line = f"head -c 4 {path} | wc -c"
        free = attempt(line, masked_paths=(), capabilities=EVERY_RIGHT)
        held = attempt(line)
        assert isinstance(free, Finished) and isinstance(held, Finished)
        assert (free.stdout.strip() != b"0", held.stdout.strip()) == (True, b"0"), (path, free, held)


def the_kernels_knobs_are_read_only() -> None:
    """sysrq-trigger, and a setting of the whole kernel, to which its own value is written."""
    lines = {"/proc/sys/vm/swappiness": "v=$(cat {0}); echo $v > {0}", "/proc/sysrq-trigger": "echo h > {0}"}
    for path in filter(os.path.exists, lines):
        line = lines[path].format(path)
        free = attempt(line, readonly_paths=())
        held = attempt(line)
        assert isinstance(free, Finished) and free.status == 0, (path, free)
        assert isinstance(held, Finished) and b"Read-only file system" in held.stderr, (path, held)


FACTS = named(
    a_leaked_descriptor_is_no_working_directory,
    a_leaked_descriptor_is_no_working_directory_of_who_joins,
    the_runtime_is_not_reached_by_a_link_of_proc,
    the_runtime_cannot_be_overwritten_while_it_runs,
    a_symlink_does_not_lead_a_mount_to_the_host,
    a_symlink_at_proc_or_dev_is_refused,
    a_false_null_masks_nothing,
    settings_are_not_written_to_a_false_proc,
    a_swapped_symlink_does_not_lead_a_copy_to_the_host,
    a_second_chroot_does_not_lead_out,
    a_device_node_opens_nothing,
    mounts_and_namespaces_need_two_mistakes,
    a_user_namespace_is_refused_by_the_filter,
    masked_files_say_nothing,
    the_kernels_knobs_are_read_only,
)
main = container_facts.main

if __name__ == "__main__":
    main(FACTS)
