# Hint: `OUTSIDE.append(limit)` has `limit(box, pid)` called. It makes a group with `mkdir`, writes the limits, and then the
#   pid into `cgroup.procs`. `AFTER` is the place for `rmdir`.
# Hint: Version 2 has one tree, /sys/fs/cgroup, and `memory.max`. Before, write `+memory +pids` into
#   `cgroup.subtree_control` of each group above. Version 1 has a tree for each controller, as /sys/fs/cgroup/memory, and
#   `memory.limit_in_bytes`. `pids.max` is the same in both.
# Hint: `prctl(24, number)` drops a capability from the bounding set. A program of root gets no other on `execve`.

%%part C
TOP = Path("/sys/fs/cgroup")
IS_VERSION_2 = (TOP / "cgroup.controllers").exists()
FILES = {"memory": "memory.max" if IS_VERSION_2 else "memory.limit_in_bytes", "pids": "pids.max"}
UNITS = {"k": 2**10, "m": 2**20, "g": 2**30}
# Docker's fourteen: capabilities(7) has their names, <linux/capability.h> their numbers.
KEPT = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31}
PR_CAPBSET_DROP = 24


def groups(box):
    """The directories of a container's groups, by controller; in version 2 all are the same one."""
    return {name: (TOP if IS_VERSION_2 else TOP / name) / "mydocker" / box["name"] for name in FILES}


def limit(box, pid):
    """Put a process into the groups of its container, which have the limits."""
    for controller, group in groups(box).items():
        group.mkdir(parents=True, exist_ok=True)
        if IS_VERSION_2:
            for above in (TOP, group.parent):
                (above / "cgroup.subtree_control").write_text("+memory +pids")
        if box[controller]:
            (group / FILES[controller]).write_text(str(in_units(box[controller])))
        (group / "cgroup.procs").write_text(str(pid))


def in_units(text):
    """The number in "64m" or "20"."""
    return int(text[:-1]) * UNITS[text[-1]] if text[-1] in UNITS else int(text)


def remove_groups(box):
    """Remove the groups: nobody is in them any more."""
    for group in set(groups(box).values()):
        if group.exists():
            group.rmdir()


def drop_capabilities(box):
    """Keep what Docker keeps: a program that root executes gets no other capability than these."""
    for number in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        if number not in KEPT:
            prctl(PR_CAPBSET_DROP, number)


OUTSIDE.append(limit)
INSIDE.append(drop_capabilities)
AFTER.append(remove_groups)
