"""What did the kernel say to a process that tried to join the namespaces of another one?"""

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["Joins"]


class Joins(NamedTuple):
    """What the kernel said to a process that tried to join each namespace of another one, each time anew.

    `refusals` has the name of the errno by kind, "" where the process got in. `own_fs`: its first thread had left the
    root and working directory that its threads share, by unshare(CLONE_FS).
    """

    threads: int
    own_fs: bool
    refusals: Mapping[str, str]

    @property
    def refused(self) -> list[str]:
        """The kinds that were refused."""
        return [kind for kind, refusal in self.refusals.items() if refusal]
