"""What does an OCI bundle say of a container, and how is a container written down as one?

A bundle is a directory with `config.json` and, mostly, the root file system in `rootfs`. `runc run` takes it, and so
does `container.run(read_bundle(directory))`. What is in a config.json and is not understood here is refused with a
sentence: a container that lacks something its author asked for would be another container.
Sources: OCI runtime specification, config.md and config-linux.md.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from labkit.errors import ContainerError
from labkit.isolation.kernel_mounts import REFUSED
from labkit.isolation.limits import ALLOWED_DEVICES
from labkit.isolation.seccomp import NUMBERS, Rule
from labkit.isolation.spec import (
    CAPABILITIES,
    DEVICES,
    NAMESPACES,
    Capabilities,
    Device,
    Limits,
    Mount,
    Rlimit,
    Root,
    Spec,
    User,
    capability_bits,
)
from labkit.linux.cgroup_limits import PERIOD_US

__all__ = ["as_config", "parse_config", "read_bundle"]

SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")
OF_A_NAMESPACE = ("net.", "kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue.")  # knobs that others do not share
KINDS = {"c": "c", "u": "c", "b": "b"}
# What a section may say; all else is refused.
KNOWN = {
    "": ("ociVersion", "process", "root", "hostname", "domainname", "mounts", "linux", "annotations"),
    "process": (
        *("terminal", "consoleSize", "user", "args", "env", "cwd", "capabilities", "rlimits", "noNewPrivileges"),
        "oomScoreAdj",
    ),
    "process.user": ("uid", "gid", "umask", "additionalGids"),
    "root": ("path", "readonly"),
    "linux": (
        *("namespaces", "devices", "cgroupsPath", "resources", "maskedPaths", "readonlyPaths", "sysctl", "seccomp"),
        "rootfsPropagation",
    ),
    "linux.resources": ("memory", "cpu", "pids", "devices"),
    "linux.resources.memory": ("limit", "swap"),
    "linux.resources.cpu": ("shares", "quota", "period", "cpus"),
    "linux.resources.pids": ("limit",),
    "linux.seccomp": ("defaultAction", "architectures", "syscalls"),
}


def read_bundle(directory: str | Path) -> Spec:
    """Read the bundle in a directory. Raises ContainerError for what is not understood, and where there is none."""
    path = Path(directory) / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except OSError as error:
        raise ContainerError(f"There is no bundle in {directory}: {path}: {error.strerror}.") from error
    except ValueError as error:
        raise ContainerError(f"{path} is no JSON: {error}.") from error
    return parse_config(config, Path(directory))


def parse_config(config: Mapping[str, Any], directory: Path) -> Spec:
    """Understand a config.json; `directory` is the bundle's, to which paths are relative. Raises ContainerError."""
    if not isinstance(config, dict) or not all(isinstance(config.get(key), dict) for key in ("process", "root")):
        raise ContainerError("config.json is no container: it needs the sections process and root.")
    process, linux = _section(config, "process"), _section(config, "linux")
    _section(config, "")
    if process.get("terminal"):
        raise ContainerError("config.json asks for a terminal (process.terminal), which is not to be had here.")
    if not linux.get("rootfsPropagation", "private").endswith("private"):
        raise ContainerError("config.json asks that mounts reach the host or come from it (linux.rootfsPropagation).")
    root = _section(config, "root")
    namespaces = _namespaces(linux.get("namespaces", ()))
    try:
        return Spec(
            args=tuple(process.get("args", ())),
            root=Root(directory=str((directory / root["path"]).resolve()), is_read_only=root.get("readonly", False)),
            name=str(linux.get("cgroupsPath", "")).replace(":", "/").rpartition("/")[2],
            env=tuple(process.get("env", ())),
            cwd=process.get("cwd", "/"),
            user=_user(_section(config, "process.user")),
            umask=_section(config, "process.user").get("umask"),
            hostname=config.get("hostname", ""),
            domainname=config.get("domainname", ""),
            namespaces=namespaces,
            mounts=tuple(_mount(each, directory) for each in config.get("mounts", ())),
            devices=(*DEVICES, *(_device(each) for each in linux.get("devices", ()))),
            masked_paths=tuple(linux.get("maskedPaths") or ()),
            readonly_paths=tuple(linux.get("readonlyPaths") or ()),
            sysctl=_sysctl(linux.get("sysctl") or {}, namespaces),
            capabilities=_capabilities(process.get("capabilities") or {}),
            no_new_privileges=process.get("noNewPrivileges", False),
            seccomp=_seccomp(_section(config, "linux.seccomp")),
            rlimits=tuple(_rlimit(each) for each in process.get("rlimits") or ()),
            limits=_limits(config),
            oom_score_adj=process.get("oomScoreAdj"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ContainerError(f"config.json cannot be understood: {type(error).__name__}: {error}.") from error


def _section(config: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """A section by its path ("linux.resources"), an empty one if it is absent; nothing unknown may be in it."""
    found: Any = config
    for name in filter(None, where.split(".")):
        found = found.get(name) or {}
    for key, value in found.items():
        if key not in KNOWN[where] and value:
            path = f"{where}.{key}".lstrip(".")
            raise ContainerError(f"config.json asks for {path}, which is not understood here: runc may do it.")
    return found  # type: ignore[no-any-return]


def _namespaces(wanted: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    for each in wanted:
        if each["type"] not in NAMESPACES or each.get("path"):
            which = f"that of {each['path']}" if each.get("path") else "a new one"
            raise ContainerError(f"config.json asks for the namespace {each['type']} ({which}): not to be had here.")
    return tuple(each["type"] for each in wanted)


def _user(words: Mapping[str, Any]) -> User:
    return User(words.get("uid", 0), words.get("gid", 0), tuple(words.get("additionalGids") or ()))


def _mount(words: Mapping[str, Any], directory: Path) -> Mount:
    options = tuple(words.get("options") or ())
    for option in options:
        if option in REFUSED:
            raise ContainerError(
                f"config.json asks for a mount with {option} at {words['destination']}: not known here."
            )
    is_bind = words.get("type") == "bind" or {"bind", "rbind"} & set(options)
    source = str(directory / words["source"]) if is_bind else words.get("source", "")
    # Without a word of them runc shows the mounts in a directory too, if the options say rbind.
    return Mount(words["destination"], "bind" if is_bind else words["type"], source, options)


def _device(words: Mapping[str, Any]) -> Device:
    numbers = words["major"], words["minor"], KINDS[words["type"]]
    return Device(words["path"], *numbers, words.get("fileMode", 0o666), words.get("uid", 0), words.get("gid", 0))


def _sysctl(knobs: Mapping[str, str], namespaces: tuple[str, ...]) -> Mapping[str, str]:
    for name in knobs:
        own = name.startswith(OF_A_NAMESPACE)
        if not own or ("network" if name.startswith("net.") else "ipc") not in namespaces:
            raise ContainerError(
                f"config.json sets {name}, which is a setting of the host, and not of a new namespace."
            )
    return knobs


def _capabilities(sets: Mapping[str, list[str]]) -> Capabilities:
    return Capabilities(*(capability_bits(sets.get(name) or ()) for name in SETS))


def _seccomp(words: Mapping[str, Any]) -> tuple[Rule, ...]:
    """A list of refused calls becomes rules; a list of allowed ones would need the numbers of all calls."""
    rules = []
    for each in words.get("syscalls") or ():
        unknown = [name for name in each["names"] if name not in NUMBERS]
        if each["action"] != "SCMP_ACT_ERRNO" or each.get("args") or unknown:
            raise ContainerError(f"config.json has a rule of seccomp that is not understood here, for {each['names']}.")
        rules += [Rule(name, "config.json", 0, each.get("errnoRet", 1)) for name in each["names"]]
    if words and words.get("defaultAction") != "SCMP_ACT_ALLOW":
        raise ContainerError(
            "config.json lists the system calls that are allowed; here only refused ones can be listed."
        )
    return tuple(rules)


def _rlimit(words: Mapping[str, Any]) -> Rlimit:
    return Rlimit(words["type"].removeprefix("RLIMIT_"), words["soft"], words["hard"])


def _limits(config: Mapping[str, Any]) -> Limits:
    memory, cpu, pids = (_section(config, f"linux.resources.{each}") for each in ("memory", "cpu", "pids"))
    rules = _section(config, "linux.resources").get("devices") or []
    allowed = [_device_rule(each) for each in rules if each.get("allow")]
    if any(rule not in ALLOWED_DEVICES for rule in allowed) or any(each.get("allow") for each in rules[:1]):
        raise ContainerError("config.json allows devices (linux.resources.devices) besides those of every container.")
    quota = cpu.get("quota") or 0
    return Limits(
        memory_bytes=memory.get("limit"),
        memory_and_swap_bytes=memory.get("swap"),
        cpus=quota / (cpu.get("period") or PERIOD_US) if quota > 0 else None,
        cpu_shares=cpu.get("shares") or None,
        cpuset_cpus=cpu.get("cpus", ""),
        pids=pids.get("limit") or None,
        only_these_devices=bool(rules),
    )


def _device_rule(words: Mapping[str, Any]) -> str:
    numbers = ["*" if words.get(each, -1) in (-1, None) else str(words[each]) for each in ("major", "minor")]
    return f"{words.get('type', 'a')} {':'.join(numbers)} {words['access']}"


def as_config(spec: Spec, rootfs: str = "rootfs") -> dict[str, Any]:
    """Write a container down as a config.json, for runc. Its layers are not in there: `rootfs` is where its root is.

    A user's name, and what limits memory and time, are not written down: the user's numbers are.
    """
    names = [f"CAP_{name}" for name in CAPABILITIES]
    sets = {
        name: [each for number, each in enumerate(names) if getattr(spec.capabilities, name) >> number & 1]
        for name in (SETS if spec.capabilities else ())
    }
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": spec.user.uid, "gid": spec.user.gid, "additionalGids": list(spec.user.more_gids)},
            "args": list(spec.args),
            "env": list(spec.env),
            "cwd": spec.cwd,
            "capabilities": sets,
            "noNewPrivileges": spec.no_new_privileges,
            "rlimits": [{"type": f"RLIMIT_{each.name}", "soft": each.soft, "hard": each.hard} for each in spec.rlimits],
        },
        "root": {"path": rootfs, "readonly": spec.root.is_read_only},
        "hostname": spec.hostname,
        "mounts": [
            {"destination": each.destination, "type": each.fstype, "source": each.source, "options": list(each.options)}
            for each in spec.mounts
        ],
        "linux": {
            "namespaces": [{"type": each} for each in spec.namespaces],
            "resources": {"devices": [{"allow": False, "access": "rwm"}]} if spec.limits.only_these_devices else {},
            "maskedPaths": list(spec.masked_paths),
            "readonlyPaths": list(spec.readonly_paths),
            "sysctl": dict(spec.sysctl),
            "seccomp": _as_profile(spec.seccomp),
        },
    }


def _as_profile(rules: Iterable[Rule]) -> dict[str, Any]:
    whole = [each for each in rules if not each.any_bit]
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": [each.call], "action": "SCMP_ACT_ERRNO", "errnoRet": each.error} for each in whole],
    }
