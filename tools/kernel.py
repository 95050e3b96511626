"""How does the lab get a kernel of its own? `make kernel` builds it from Debian's source, once for each configuration.

    python -m tools.kernel                 build it, if it is not built yet, for `labkit` to find
    python -m tools.kernel --shelf DIR     keep it in DIR instead
    python -m tools.kernel --remove        remove what was built (make clean KERNEL=1)

apt fetches the package linux-source of a Debian that has 7.2 or newer, in a directory of its own, and checks it against
Debian's signatures; nothing is installed, and no root is needed. What is made is whole or not at all: the build lies in
SHELF/building, under a lock, and only a kernel that has run is moved to its place. What an interrupted build has left
the next one removes.
"""

import argparse
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from labkit.machine.outside.kernel import (  # noqa: E402  # after the path that leads there
    CONFIG,
    PROGRAM,
    NoKernel,
    ask_kernel,
    built_kernels,
    cache_dir,
    configuration_digest,
)

SUITES = ("forky", "trixie-backports")  # of Debian's suites those that have linux-source 7.2 or newer
SINCE = (7, 2)
KEYRINGS = ("/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp")
TOOLS = {  # program: Debian package
    **{"apt-get": "apt", "dpkg-deb": "dpkg", "tar": "tar", "xz": "xz-utils", "make": "make", "gcc": "gcc"},
    **{"ld": "binutils", "flex": "flex", "bison": "bison", "bc": "bc", "perl": "perl-base"},
}
# Sources that a user-mode kernel is not made of: two thirds of what would be unpacked. Their Kconfig files are read.
LEFT_OUT = [
    *(
        f"*/{place}/*.[chS]"
        for place in (
            "sound",
            "drivers/gpu",
            "drivers/media",
            "drivers/net/ethernet",
            "drivers/net/wireless",
            "drivers/scsi",
        )
    ),
    *(f"*/{place}/*.[chS]" for place in ("drivers/infiniband", "drivers/staging", "drivers/iio", "drivers/usb")),
    *("*/Documentation/*.rst", "*/Documentation/*.yaml", "*/Documentation/*.txt", "*/*.dts", "*/*.dtsi"),
    *("*/tools/perf/*", "*/tools/testing/*"),
]
ROOM_MIB = 1200  # the unpacked source and what is compiled from it
FILES = 1480  # that are compiled with this configuration, for the progress that is shown


class BuildError(Exception):
    """What keeps the kernel from being built, and the cure."""


def main() -> int:
    """Build the kernel, or remove it; return the exit status."""
    parser = argparse.ArgumentParser(prog="make kernel", description="Build the lab's own User-Mode Linux.")
    parser.add_argument("--shelf", type=Path, default=cache_dir(), help="the directory to keep it in")
    parser.add_argument("--remove", action="store_true", help="remove what was built")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _raise_exit)
    try:
        if options.remove:
            remove(options.shelf)
        else:
            build(options.shelf)
    except BuildError as error:
        print(f"kernel: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nkernel: interrupted; nothing half-made is left", file=sys.stderr)
        return 130
    return 0


def build(shelf: Path) -> None:
    """Fetch, configure, compile, try and keep it. Raises BuildError."""
    if program := find_built(shelf):
        print(f"kernel: it is built already: {program}")
        return
    with workplace(shelf) as place:
        if program := find_built(shelf):  # by another build, which held the lock
            print(f"kernel: it has just been built: {program}")
            return
        check_tools()
        began = time.monotonic()
        package, version = fetch_source(place)
        source = unpack(place, package)
        configure(source, place / "build")
        compile_kernel(source, place / "build")
        program = keep(place, shelf / f"{version}-{configuration_digest()}")
    size = program.stat().st_size / 1e6
    print(f"kernel: built in {time.monotonic() - began:.0f} s: {program} ({size:.0f} MB); `uml` machines take it now")


def find_built(shelf: Path) -> Path | None:
    """The kernel that machines find there. One that does not run here is none."""
    for program in built_kernels(shelf)[:1]:
        try:
            return ask_kernel(program).program
        except NoKernel as error:
            print(f"kernel: {error.found} It is built anew.", flush=True)
    return None


@contextmanager
def lend_to_image() -> Iterator[None]:
    """While an image is built, have the kernel of this host, if there is one, where the Dockerfile takes it from."""
    place = ROOT / "binder/kernel"
    shutil.rmtree(place, ignore_errors=True)  # of a build that was killed
    program = find_built(cache_dir())
    try:
        if program is not None:
            shutil.copytree(program.parent, place / program.parent.name)
        yield
    finally:
        shutil.rmtree(place, ignore_errors=True)


def remove(shelf: Path) -> None:
    """Remove every kernel that was built here, with any configuration."""
    if shelf.is_dir():
        with workplace(shelf):
            shutil.rmtree(shelf)
        print(f"kernel: removed {shelf}")


def check_tools() -> None:
    """Raise BuildError that names the packages of the programs that are missing."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [package for program, package in TOOLS.items() if shutil.which(program, path=path) is None]
    if not Path("/usr/include/stdio.h").exists():
        missing.append("libc6-dev")
    if "apt" in missing or "dpkg" in missing:
        raise BuildError("the source comes from Debian by apt, which is not here: build it on Debian 12 or newer.")
    if missing:
        raise BuildError(f"programs are missing; run as root: apt-get install {' '.join(missing)}")


@contextmanager
def workplace(shelf: Path) -> Iterator[Path]:
    """An empty directory to build in, held by one process at a time; removed at the end. Raises BuildError."""
    try:
        shelf.mkdir(parents=True, exist_ok=True)
        lock = os.open(shelf, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise BuildError(f"nothing can be kept in {shelf} ({error.strerror}): set XDG_CACHE_HOME.") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("kernel: another build is under way here; waiting for its end", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        place = shelf / "building"
        shutil.rmtree(place, ignore_errors=True)  # of a build that was killed
        place.mkdir()
        free = shutil.disk_usage(place).free >> 20
        if free < ROOM_MIB:
            raise BuildError(
                f"{free} MiB are free in {shelf}, and it takes {ROOM_MIB}: free some, or set XDG_CACHE_HOME."
            )
        yield place
    finally:
        shutil.rmtree(shelf / "building", ignore_errors=True)
        os.close(lock)


def fetch_source(place: Path) -> tuple[Path, str]:
    """Download the package with the kernel's source; give its file and its version. Raises BuildError.

    Of the series that Debian has now the first from 7.2 on is taken, in its newest version: the one nearest to what the
    configuration was written for. apt checks the lists against Debian's keys, and the package against the lists.
    """
    apt = place / "apt"
    for directory in ("lists/partial", "archives/partial"):
        (apt / directory).mkdir(parents=True)
    (apt / "status").touch()
    keyring = next((f"[signed-by={name}] " for name in KEYRINGS if Path(name).exists()), "")
    mirror = read_mirror()
    (apt / "sources.list").write_text("".join(f"deb {keyring}{mirror} {suite} main\n" for suite in SUITES))
    options = [f"-oDir::Etc::sourcelist={apt}/sources.list", "-oDir::Etc::sourceparts=/dev/null", f"-oDir::State={apt}"]
    options += [f"-oDir::State::status={apt}/status", f"-oDir::Cache={apt}", "-oAPT::Sandbox::User=root"]
    print(f"kernel: asking Debian ({', '.join(SUITES)}) for its source", flush=True)
    run(
        ["apt-get", *options, "-oAPT::Update::Error-Mode=any", "update", "--quiet=2"], "apt cannot fetch Debian's lists"
    )
    names = run(["apt-cache", *options, "pkgnames", "linux-source-"], "apt cannot read the lists")
    series = [(int(major), int(minor)) for major, minor in re.findall(r"^linux-source-(\d+)\.(\d+)$", names, re.M)]
    offered = sorted(numbers for numbers in series if numbers >= SINCE)
    if not offered:
        raise BuildError(f"Debian ({', '.join(SUITES)}) has no linux-source from {SINCE[0]}.{SINCE[1]} on.")
    name = "linux-source-{}.{}".format(*offered[0])
    versions = re.findall(
        r"\|\s*(\S+)\s*\|", run(["apt-cache", *options, "madison", name], "apt cannot read the lists")
    )
    version = versions[0]  # the newest stands first
    print(f"kernel: downloading {name} {version}", flush=True)
    run(["apt-get", *options, "download", "--quiet=2", f"{name}={version}"], f"apt cannot fetch {name}", cwd=place)
    return next(place.glob("linux-source-*.deb")), version


def read_mirror() -> str:
    """The mirror of Debian's that this host's apt uses. Raises BuildError where it uses none."""
    wanted = ["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"]
    mirrors = run(["apt-get", *wanted], "apt does not tell its sources").split()
    if not mirrors:
        raise BuildError("apt has no lists of Debian's yet; run as root: apt-get update")
    return mirrors[0]


def unpack(place: Path, package: Path) -> Path:
    """Unpack the source; give its directory."""
    print("kernel: unpacking", flush=True)
    run(["dpkg-deb", "--extract", str(package), str(place / "package")], "the package cannot be unpacked")
    package.unlink()
    archive = next((place / "package/usr/src").glob("linux-source-*.tar.xz"))
    left_out = [f"--exclude={pattern}" for pattern in LEFT_OUT]
    run(["tar", "-C", str(place), "-xf", str(archive), *left_out], "the source cannot be unpacked")
    shutil.rmtree(place / "package")
    return next(place.glob("linux-source-*"))


def configure(source: Path, build_dir: Path) -> None:
    """Set what kernel.config says, and nothing else; raise BuildError with the options that the source did not take."""
    words = ["make", "-C", str(source), "ARCH=um", f"O={build_dir}", f"KCONFIG_ALLCONFIG={CONFIG}", "allnoconfig"]
    run(words, "the kernel cannot be configured")
    taken = set((build_dir / ".config").read_text().splitlines())
    wanted = [line for line in CONFIG.read_text().splitlines() if line.startswith("CONFIG_")]
    if refused := [line for line in wanted if line not in taken]:
        raise BuildError(f"{source.name} does not take these options of {CONFIG.name}: {' '.join(refused)}")


def compile_kernel(source: Path, build_dir: Path) -> None:
    """Compile it on every processor, showing how far it has come. Raises BuildError with the compiler's words."""
    words = ["make", "-C", str(source), "ARCH=um", f"O={build_dir}", f"-j{len(os.sched_getaffinity(0))}", "linux"]
    log = build_dir / "log"
    began, shown, count = time.monotonic(), 0.0, 0
    with log.open("w") as said:
        make = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        try:
            assert make.stdout is not None
            for line in make.stdout:
                said.write(line)
                count += line.startswith("  CC ")
                if time.monotonic() - shown > (0.5 if sys.stdout.isatty() else 30):
                    shown = time.monotonic()
                    show_progress(count, shown - began)
            status = make.wait()
        finally:
            if make.poll() is None:
                os.killpg(make.pid, signal.SIGKILL)
                make.wait()
    if status:
        words = [line for line in log.read_text().splitlines() if re.search(r"error|No rule|\*\*\*", line)]
        raise BuildError("the kernel does not compile:\n" + "\n".join(words[:12]))
    show_progress(count, time.monotonic() - began)
    if sys.stdout.isatty():
        print()


def show_progress(count: int, seconds: float) -> None:
    """One line on a terminal, which is written anew; a line each time elsewhere."""
    minutes, rest = divmod(int(seconds), 60)
    bar = "#" * (30 * min(count, FILES) // FILES)
    words = f"kernel: compiling [{bar:30}] {count} of some {FILES} files, {minutes}:{rest:02}"
    print(f"\r{words}" if sys.stdout.isatty() else words, end="" if sys.stdout.isatty() else "\n", flush=True)


def keep(place: Path, home: Path) -> Path:
    """Move the kernel, stripped of its symbols, to where machines find it, once it has run; give its file."""
    finished = place / "finished"
    finished.mkdir()
    run(["strip", "-o", str(finished / PROGRAM), str(place / "build/linux")], "the kernel cannot be stripped")
    release = run([str(finished / PROGRAM), "--version"], "the kernel that was built does not run")
    print(f"kernel: it is Linux {release.strip()}", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    finished.rename(home)
    return home / PROGRAM


def run(words: list[str], otherwise: str, cwd: Path | None = None) -> str:
    """Run a program, give its output; raise BuildError with `otherwise` and its last words when it fails."""
    done = subprocess.run(words, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-6:])
        raise BuildError(f"{otherwise}: {said}")
    return done.stdout


def _raise_exit(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
