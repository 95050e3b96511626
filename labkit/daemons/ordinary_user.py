"""How does a lab machine get an ordinary user, who has a range of further users to give to containers?

    rosa = make_user("rosa")        rosa.uid, rosa.home, rosa.runtime
    rosa.remove()

As useradd(8) does it, and logind for the directory in /run/user. The lines are written by hand: useradd opens
/etc/shadow too, which stays closed to the root of a machine whose host is an ordinary user's. Source: passwd(5),
group(5), subuid(5), subgid(5), file-hierarchy(7).
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from labkit.errors import MachineError

__all__ = ["FIRST_SUBORDINATE", "SUBORDINATES", "OrdinaryUser", "make_user"]

FIRST_UID = 4000  # or the next one that nobody has
FIRST_SUBORDINATE, SUBORDINATES = 200_000, 65_536  # the range: as many as there are users in an ordinary image
AS_BYTES = "surrogateescape"  # somebody's full name may not be UTF-8
LINES = {  # by the file in which each stands
    "/etc/passwd": "{name}:x:{uid}:{uid}::{home}:/bin/sh",
    "/etc/group": "{name}:x:{uid}:",
    "/etc/subuid": f"{{name}}:{FIRST_SUBORDINATE}:{SUBORDINATES}",
    "/etc/subgid": f"{{name}}:{FIRST_SUBORDINATE}:{SUBORDINATES}",
}


class OrdinaryUser(NamedTuple):
    """A user of the machine: the number, which is that of the group too, and two directories of the user's own."""

    name: str
    uid: int
    home: Path

    @property
    def runtime(self) -> Path:
        """What the user's programs know as XDG_RUNTIME_DIR: for sockets, and open to nobody else."""
        return Path("/run/user", str(self.uid))

    def remove(self) -> None:
        """Remove the user, and all in the two directories; a second time does nothing."""
        for file in map(Path, LINES):
            with suppress(FileNotFoundError):
                others = [line for line in _read_lines(file) if line.partition(":")[0] != self.name]
                file.write_text("".join(f"{line}\n" for line in others), errors=AS_BYTES)
        for directory in (self.home, self.runtime):
            shutil.rmtree(directory, ignore_errors=True)


def make_user(name: str) -> OrdinaryUser:
    """Make a user who has no password, and no right but the ordinary ones.

    Raises MachineError where there is such a user already, and outside of a lab machine, whose files vanish with it.
    """
    if "LABKIT_MACHINE_KIND" not in os.environ:
        raise MachineError("A user is made in a lab machine only, and this is none. Run: labkit run -- COMMAND")
    users = [line.split(":") for line in _read_lines(Path("/etc/passwd"))]
    home = Path("/home", name)
    if name in (user[0] for user in users) or home.exists():
        raise MachineError(f"This machine has a user {name} already: choose another name.")
    taken = {user[2] for user in users if len(user) > 2}
    uid = next(uid for uid in range(FIRST_UID, FIRST_SUBORDINATE) if str(uid) not in taken)
    user = OrdinaryUser(name, uid, home)
    try:
        for file, line in LINES.items():
            with Path(file).open("a") as end:
                end.write(line.format(name=name, uid=uid, home=home) + "\n")
        for directory in (home, user.runtime):
            directory.mkdir(parents=True, mode=0o700)
            os.chown(directory, uid, uid)
    except BaseException:
        user.remove()
        raise
    return user


def _read_lines(file: Path) -> list[str]:
    return file.read_text(errors=AS_BYTES).splitlines()
