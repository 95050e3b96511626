"""Which user and groups does a name mean in a container?

Its own /etc/passwd and /etc/group tell, never the host's: passwd(5), group(5). The words are those of `docker run -u`.
"""

import os
import stat
from contextlib import suppress

from labkit.isolation.spec import User

__all__ = ["find_user", "home_of"]

LARGEST = 2**20  # bytes of /etc/passwd that are read


def find_user(user: User) -> User:
    """Look the name up in this process's root directory ("nobody", "1000", "nobody:100", "nobody:staff").

    Raises ValueError where there is no such user or group.
    """
    if not user.name:
        return user
    name, colon, group = user.name.partition(":")
    uid, gid = _find(name, _read_table("/etc/passwd"), "user")
    groups = [line for line in _read_table("/etc/group") if len(line) > 3]
    if colon:
        gid = _find(group, groups, "group")[0]
        return User(uid, gid, (gid,))
    names = {line[0] for line in _read_table("/etc/passwd") if len(line) > 3 and line[2] == str(uid)}
    more = [int(line[2]) for line in groups if names & set(line[3].split(",")) and line[2].isdigit()]
    return User(uid, gid, tuple(dict.fromkeys((gid, *more))))  # its own among them: CVE-2022-36109


def home_of(uid: int) -> str:
    """The home directory of a user, "/" where /etc/passwd does not tell."""
    return next((line[5] for line in _read_table("/etc/passwd") if len(line) > 5 and line[2] == str(uid)), "/")


def _find(name: str, table: list[list[str]], kind: str) -> tuple[int, int]:
    """The number of a name, and the one after it: in passwd that of the user's group."""
    for line in table:
        if len(line) > 3 and name in (line[0], line[2]) and line[2].isdigit():
            return int(line[2]), int(line[3]) if line[3].isdigit() else 0
    if name.isdigit() and int(name) < 2**32 - 1:
        return int(name), 0
    raise ValueError(f"there is no {kind} {name!r} in the container's /etc/{'passwd' if kind == 'user' else 'group'}")


def _read_table(path: str) -> list[list[str]]:
    """The lines of a file whose fields are parted by colons; none where there is no such file."""
    with suppress(FileNotFoundError, NotADirectoryError):
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO would have the open wait
        with open(file, "rb") as opened:
            if stat.S_ISREG(os.fstat(file).st_mode):
                return [line.split(":") for line in opened.read(LARGEST).decode(errors="replace").splitlines()]
    return []
