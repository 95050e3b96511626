"""What does the first process of a lab machine do?

It makes the contract true (root, devices, cgroups, network), forks the notebook's kernel, has the engine started
beside it, and from then on reaps, passes bytes between a command and the control line, and ends the machine when
the kernel or the command has ended. It is the same program for both kinds: `native` calls `become_init` in a
process that already has new namespaces; in `uml` the kernel executes this file as its init.
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import traceback
import tty
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from labkit import linux
from labkit.errors import LabError
from labkit.machine.request import GUEST_IP, Line, Request

__all__ = ["become_init"]

STATE = Path("/run/labkit")
BOOT_LOG = STATE / "boot.jsonl"
STAGING = Path("/run")  # a directory that every host has, and that the new root does not take from the host
UML_MODULES = "veth bridge br_netfilter iptable_nat iptable_filter xt_conntrack xt_addrtype xt_MASQUERADE"
UML_SERIAL = "/dev/ttyS0"
OUTPUT_BYTES = 4096
PATHS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def become_init(request: Request, line_fd: int) -> NoReturn:
    """Be PID 1 of a machine; never returns. What goes wrong is said on the control line."""
    try:
        Init(request, Line(line_fd)).run()
    except BaseException as error:
        traceback.print_exc()
        steps = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        report = {"event": "failed", "detail": f"{type(error).__name__}: {error} (in {' > '.join(steps[-3:])})"}
        os.write(line_fd, json.dumps(report).encode() + b"\n")
        time.sleep(0.2)
    finally:
        _end_machine()


class Init:
    """PID 1: `job` is the kernel or the command, whose end is the machine's end."""

    def __init__(self, request: Request, line: Line) -> None:
        self.request = request
        self.line = line
        self.job = 0
        self.booter = 0
        self.starting: int | None = None  # readable when the kernel answers, or has ended
        self.input: int | None = None
        self.outputs: set[int] = set()
        self.status: int | None = None

    def run(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._make_contract()
        if self.request.connection is not None:
            initialized, announce = os.pipe()
            self.job = self._fork(lambda: _run_kernel(self.request, announce))
            os.close(announce)
            self.starting = initialized
            if self.request.kind == "uml":
                select.select([initialized], [], [])  # one processor: the kernel first, at full speed
        self.booter = self._fork(lambda: _boot_engine(self.request))
        self._serve()
        self.line.send(event="exit", status=self.status)
        time.sleep(0.05 if self.request.kind == "uml" else 0)  # the serial port has no way to say "delivered"

    def _make_contract(self) -> None:
        make_root(self.request)
        mount_kernel_file_systems(self.request.kind)
        STATE.mkdir(mode=0o755)
        self._log("root", "the host's files, read-only underneath, writable on top")
        set_names()
        if self.request.kind == "uml":
            configure_network()
        self._log("network", f"{GUEST_IP} through slirp4netns")
        _set_environment(self.request)

    def _log(self, stage: str, detail: str) -> None:
        _log_stage(self.request, stage, detail)
        self.line.send(event="stage", stage=stage, detail=detail)

    def _serve(self) -> None:
        """Reap children and pass bytes until the job has ended and its output is through."""
        wake, woken = os.pipe()
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._reap()
        while self.status is None or self.outputs:
            starting = [] if self.starting is None else [self.starting]
            ready, _, _ = select.select([wake, self.line.fileno(), *starting, *self.outputs], [], [])
            if self.starting in ready:
                self._kernel_is_up()
            if wake in ready:
                os.read(wake, 4096)
                self._reap()
            for fd in self.outputs & set(ready):
                self._pass_output(fd)
            if self.line.fileno() in ready:
                self._obey()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.job:
                self.status = os.waitstatus_to_exitcode(status)
                self._drain()
            elif pid == self.booter:
                self._engine_is_up(os.waitstatus_to_exitcode(status))

    def _kernel_is_up(self) -> None:
        assert self.starting is not None
        if os.read(self.starting, 1):
            self.line.send(event="stage", stage="kernel", detail="")
        os.close(self.starting)
        self.starting = None

    def _engine_is_up(self, status: int) -> None:
        if status == 0:
            self.line.send(event="stage", stage="ready", detail="")
        else:
            self.line.send(event="failed", detail=_why_boot_failed())
        if self.request.command:
            if status == 0:
                self._start_command()
            else:
                self.status = 125

    def _start_command(self) -> None:
        if self.request.terminal:
            self.job, terminal = pty.fork()
            if self.job == 0:
                _run_command(self.request.command, self.request.cwd)
            _resize(terminal, *self.request.terminal)
            self.input, self.outputs = terminal, {terminal}
            return
        stdin, self.input = os.pipe()
        out, err = os.pipe(), os.pipe()

        def child() -> None:
            for number, fd in enumerate((stdin, out[1], err[1])):
                os.dup2(fd, number)
            _run_command(self.request.command, self.request.cwd)

        self.job = self._fork(child)
        for fd in (stdin, out[1], err[1]):
            os.close(fd)
        self.streams = {out[0]: 1, err[0]: 2}
        self.outputs = {out[0], err[0]}

    def _pass_output(self, fd: int) -> bool:
        """Send one piece of the command's output; give whether there may be more."""
        try:
            data = os.read(fd, OUTPUT_BYTES)
        except OSError:  # a terminal whose last user has gone
            data = b""
        if not data:
            self.outputs.discard(fd)
            return False
        stream = 1 if self.request.terminal else self.streams[fd]
        self.line.send(event="output", stream=stream, data=b64encode(data).decode())
        return True

    def _drain(self) -> None:
        """Send what the ended command has written; what its leftover children may still write is not waited for."""
        for fd in list(self.outputs):
            while select.select([fd], [], [], 0)[0] and self._pass_output(fd):
                pass
        self.outputs.clear()

    def _obey(self) -> None:
        messages = self.line.receive()
        if messages is None:
            _end_machine()
        for message in messages:
            match message:
                case {"order": "input", "data": str(data)}:
                    self._pass_input(b64decode(data))
                case {"order": "resize", "rows": int(rows), "columns": int(columns)} if self.input is not None:
                    _resize(self.input, rows, columns)
                case {"order": "signal", "number": int(number)} if self.job:
                    with suppress(ProcessLookupError):
                        os.killpg(self.job, number)

    def _pass_input(self, data: bytes) -> None:
        if self.input is None:
            return
        if data:
            with suppress(OSError):  # the command does not read any more: the bytes are lost, as in a shell's pipe
                os.write(self.input, data)
        elif self.request.terminal:
            os.write(self.input, b"\x04")
        else:
            os.close(self.input)
            self.input = None
        self.line.send(event="taken")

    def _fork(self, child: Callable[[], None]) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.close(self.line.fileno())
            os.setsid()
            child()
            os._exit(0)
        except SystemExit as error:
            os._exit(error.code if isinstance(error.code, int) else 0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)


# --- the root file system -------------------------------------------------------------------------------------


def make_root(request: Request) -> None:
    """Put a writable layer in memory over the host's files, and make that the root: mount(2), pivot_root(2)."""
    if request.kind == "uml":
        linux.mount("proc", "/proc", "proc")
    linux.mount("lab", STAGING, "tmpfs", data=f"mode=755,size={_room(request.kind)}")
    if request.kind == "uml":
        _load_overlay_module()
    root = STAGING / "root"
    root.mkdir()
    _overlay("/", root, "root")
    # A user-mode kernel sees through its host's mounts; under the host's own kernel each is a file system apart.
    if request.kind == "native":
        for number, point in enumerate(_mounts_to_carry(request.needed_paths())):
            _overlay(point, root / point.lstrip("/"), f"mount{number}")
    os.chdir(root)
    linux.pivot_root(".", ".")
    linux.umount2(".", linux.MNT_DETACH)
    os.chdir("/")


def _overlay(lower: str, target: Path, name: str) -> None:
    upper, work = STAGING / name / "upper", STAGING / name / "work"
    for directory in (upper, work):
        directory.mkdir(parents=True, exist_ok=True)
    os.chmod(upper, 0o755)
    linux.mount("lab", target, "overlay", data=f"lowerdir={lower},upperdir={upper},workdir={work}")


def _load_overlay_module() -> None:
    release = os.uname().release
    tree = STAGING / "modules/lib/modules"
    tree.mkdir(parents=True)
    (tree / release).symlink_to(f"/usr/lib/uml/modules/{release}")
    subprocess.run(["/sbin/modprobe", "-d", STAGING / "modules", "overlay"], check=True)


def _room(kind: str, share: str = "50%") -> str:
    """How much a learner may write before a place in memory is full, as an option of tmpfs."""
    if kind == "uml":
        return share  # of the machine's own memory
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{max(128, min(2048, total // 8 // 2**20))}m"


def _mounts_to_carry(needed: list[Path]) -> list[str]:
    """The mount points, besides the root, that hold disks or something that is needed; outer ones first."""
    disks = {line.split()[0] for line in Path("/proc/filesystems").open() if not line.startswith("nodev")}
    mounts = {}
    for line in Path("/proc/self/mountinfo").open():
        left, right = line.split(" - ")
        mounts[left.split()[4].encode().decode("unicode_escape")] = right.split()[0]
    holding = {_mount_point_of(path, set(mounts)) for path in needed}
    wanted = {point for point, fstype in mounts.items() if fstype in disks or point in holding}
    hidden = ("/proc", "/sys", "/dev", "/run", "/boot")
    return sorted(
        point for point in wanted - {"/"} if os.path.isdir(point) and (point in holding or not point.startswith(hidden))
    )


def _mount_point_of(path: Path, points: set[str]) -> str:
    return next(str(parent) for parent in (path, *path.parents) if str(parent) in points)


# --- what the kernel shows, and names ---------------------------------------------------------------------------


def mount_kernel_file_systems(kind: str) -> None:
    """Mount /proc, /sys, /dev, the cgroups, and the places in memory."""
    secure = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
    linux.mount("proc", "/proc", "proc", secure)
    linux.mount("sysfs", "/sys", "sysfs", secure)
    if kind == "uml":
        linux.mount("devtmpfs", "/dev", "devtmpfs", linux.MS_NOSUID)
    else:
        _make_devices()
    for name, fstype, data in (
        ("/dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=620,gid=5"),
        ("/dev/shm", "tmpfs", f"mode=1777,size={_room(kind)}"),
        ("/dev/mqueue", "mqueue", ""),
    ):
        Path(name).mkdir(exist_ok=True)
        linux.mount(fstype, name, fstype, linux.MS_NOSUID, data)
    if not os.path.lexists("/dev/ptmx"):
        os.symlink("pts/ptmx", "/dev/ptmx")
    # /etc/docker holds the keys and the configuration of the host's own engine, which this one is not to read.
    for place in ("/run", "/var/lib/docker", "/etc/docker"):
        Path(place).mkdir(parents=True, exist_ok=True)
        linux.mount("lab", place, "tmpfs", data=f"mode=755,size={_room(kind, '75%')}")
    Path("/run/lock").mkdir(mode=0o1777)
    if kind == "uml":
        linux.mount("cgroup2", "/sys/fs/cgroup", "cgroup2", secure)
    else:
        mount_cgroups()


def _make_devices() -> None:
    linux.mount("lab", "/dev", "tmpfs", linux.MS_NOSUID, "mode=755,size=1m")
    for name, mode, major, minor in (
        ("null", 0o666, 1, 3),
        ("zero", 0o666, 1, 5),
        ("full", 0o666, 1, 7),
        ("random", 0o666, 1, 8),
        ("urandom", 0o666, 1, 9),
        ("tty", 0o666, 5, 0),
        ("fuse", 0o666, 10, 229),
        ("net/tun", 0o666, 10, 200),
    ):
        path = Path("/dev", name)
        path.parent.mkdir(exist_ok=True)
        os.mknod(path, 0o020000 | mode, os.makedev(major, minor))
        path.chmod(mode)
    for name, to in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(to, f"/dev/{name}")


def mount_cgroups() -> None:
    """Mount the host's hierarchies again, each with this machine's own group as its root: cgroup_namespaces(7)."""
    hierarchies = [line.rstrip("\n").split(":", 2)[1] for line in Path("/proc/self/cgroup").open()]
    top = Path("/sys/fs/cgroup")
    if hierarchies == [""]:
        linux.mount("cgroup2", top, "cgroup2")
        _delegate(top)
        return
    linux.mount("lab", top, "tmpfs", data="mode=755")
    for controllers in hierarchies:
        where = top / (controllers.removeprefix("name=") or "unified")
        where.mkdir()
        try:
            if controllers:
                linux.mount("cgroup", where, "cgroup", data=("none," if "=" in controllers else "") + controllers)
            else:
                linux.mount("cgroup2", where, "cgroup2")
        except OSError:  # a hierarchy that the host has, and does not let us mount
            where.rmdir()
        else:
            for single in controllers.split(",") if "," in controllers else ():
                (top / single).symlink_to(controllers)


def _delegate(group: Path) -> None:
    """Leave the group's root, so that it may give its controllers to children: cgroups(7), no internal processes."""
    leaf = group / "init"
    leaf.mkdir(exist_ok=True)
    (leaf / "cgroup.procs").write_text("0")
    for controller in (group / "cgroup.controllers").read_text().split():
        (group / "cgroup.subtree_control").write_text(f"+{controller}")


def set_names() -> None:
    """Call the machine `lab`, and find names through slirp4netns."""
    linux.sethostname("lab")
    for path, text in (
        ("/etc/hostname", "lab\n"),
        ("/etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\tlab\n::1\tlocalhost ip6-localhost\n"),
        ("/etc/resolv.conf", "nameserver 10.0.2.3\n"),
    ):
        Path(path).unlink(missing_ok=True)  # on many hosts a link to a file of a service that is not here
        Path(path).write_text(text)


def configure_network() -> None:
    """Give the user-mode kernel's network card its address; for `native` slirp4netns does the same from outside."""
    orders = f"link set lo up\naddr add {GUEST_IP}/24 dev vec0\nlink set vec0 up\nroute add default via 10.0.2.2\n"
    subprocess.run(["/sbin/ip", "-batch", "-"], input=orders, text=True, check=True)


def _set_environment(request: Request) -> None:
    paths = f"{sys.prefix}/bin:{PATHS}"
    if request.kind == "uml":
        _prefer_legacy_iptables()
        paths = f"/run/labkit/bin:{paths}"
    if not any(str(path).startswith("/root") for path in request.needed_paths()):
        linux.mount("lab", "/root", "tmpfs", data=f"mode=700,size={_room(request.kind)}")
    for name in [name for name in os.environ if name.startswith("DOCKER_")]:
        del os.environ[name]  # an address or a context of the host's Docker does not lead anywhere from here
    os.environ.update(
        PATH=paths,
        HOME="/root",
        USER="root",
        LANG="C.UTF-8",
        TERM=os.environ.get("TERM", "linux") if request.terminal else "dumb",
        LABKIT_MACHINE_KIND=request.kind,
        DOCKER_CONFIG="/run/labkit/docker-cli",
        TMPDIR="/tmp",
    )


def _prefer_legacy_iptables() -> None:
    """A user-mode kernel has the older packet filter only, whichever one the host's links name."""
    directory = STATE / "bin"
    directory.mkdir()
    for name in ("iptables", "ip6tables", "iptables-save", "ip6tables-save", "iptables-restore"):
        family, _, verb = name.partition("-")
        program = f"/usr/sbin/{family}-legacy" + (f"-{verb}" if verb else "")
        (directory / name).symlink_to(program)


# --- the machine's children -------------------------------------------------------------------------------------


def _run_kernel(request: Request, announce: int) -> None:
    """Be the notebook's Python kernel: as `python -m ipykernel_launcher`, in a process that is already warm."""
    assert request.connection is not None
    log = os.open(STATE / "kernel.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for fd, target in ((os.open("/dev/null", os.O_RDONLY), 0), (log, 1), (log, 2)):
        os.dup2(fd, target)
    # The host reaches these ports through slirp4netns; nothing but this machine's network can reach them otherwise.
    connection = STATE / "kernel.json"
    connection.touch(mode=0o600)
    connection.write_text(json.dumps({**request.connection, "ip": "0.0.0.0"}))
    os.chdir(request.cwd)
    # By this the kernel would watch its parent, take PID 1 for a sign that it is an orphan, and end.
    os.environ.pop("JPY_PARENT_PID", None)
    sys.path.insert(0, "")
    sys.argv = ["ipykernel_launcher", "-f", str(connection)]
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance()
    app.initialize()  # type: ignore[no-untyped-call]
    _log_stage(request, "kernel", "the notebook's Python answers")
    os.write(announce, b"1")
    os.close(announce)
    app.start()  # type: ignore[no-untyped-call]


def _run_command(command: list[str], cwd: str) -> NoReturn:
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(cwd)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"labkit: {command[0]}: {error.strerror}\n".encode())
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def _boot_engine(request: Request) -> None:
    """Load what dockerd needs, start it, and give it the image busybox:latest."""
    from labkit.machine.busybox import import_busybox
    from labkit.machine.engine_process import API_SOCKET, start_engine

    try:
        if request.kind == "uml":
            release = os.uname().release
            link = Path("/lib/modules", release)
            if not link.exists():
                link.parent.mkdir(exist_ok=True)
                link.symlink_to(f"/usr/lib/uml/modules/{release}")
            subprocess.run(["/sbin/modprobe", "-a", *UML_MODULES.split()], check=True)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        start_engine()
        _log_stage(request, "engine", "dockerd answers")
        from labkit.engine import Engine

        with Engine(f"unix://{API_SOCKET}") as engine:
            import_busybox(engine)
        _log_stage(request, "image", "busybox:latest is loaded")
        _log_stage(request, "ready", "")
    except (LabError, OSError, subprocess.SubprocessError) as error:
        _log_stage(request, "failed", f"{type(error).__name__}: {error}")
        os._exit(1)


def _log_stage(request: Request, stage: str, detail: str) -> None:
    entry: dict[str, Any] = {
        "stage": stage,
        "seconds": round(time.time() - request.began, 3),
        "detail": detail,
    }
    log = os.open(BOOT_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(log, json.dumps(entry).encode() + b"\n")
    os.close(log)


def _why_boot_failed() -> str:
    stages = [json.loads(line) for line in BOOT_LOG.read_text().splitlines()]
    reasons = [stage["detail"] for stage in stages if stage["stage"] == "failed"]
    return reasons[-1] if reasons else "the process that starts the engine was killed"


def _resize(terminal: int, rows: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _end_machine() -> NoReturn:
    with suppress(OSError):
        linux.power_off()
    os._exit(0)  # PID 1's end takes every process of its PID namespace along


def _init_of_uml() -> NoReturn:
    """Entered when a user-mode kernel executes this file: the request is a file, the line is a serial port."""
    request = Request.from_json(Path(sys.argv[1]).read_text())
    line = os.open(UML_SERIAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    tty.setraw(line)
    become_init(request, line)


if __name__ == "__main__":
    _init_of_uml()
