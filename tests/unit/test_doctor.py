"""Does the doctor read the signs of a host rightly, and say what it found in whole sentences with a cure?"""

import errno
import os
import platform
import shutil
import struct
import sys
from pathlib import Path

import pytest

from labkit import cli
from labkit.errors import MachineError
from labkit.machine import doctor, places, programs
from labkit.machine.inside import busybox
from labkit.machine.outside import memory, ports
from labkit.machine.problem import Problem

GIB = 1 << 30
BOOT_ONCE = doctor.boot_once


@pytest.fixture(autouse=True)
def no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here boots a machine: each one that would be booted comes up."""
    monkeypatch.setattr(doctor, "boot_once", lambda kind: [])


@pytest.mark.parametrize(
    ("wanted", "variable", "root", "kind"),
    [
        (None, None, True, "native"),
        (None, None, False, "uml"),
        (None, "auto", False, "uml"),
        (None, "", True, "native"),
        (None, "uml", True, "uml"),
        ("native", "uml", False, "native"),
        ("auto", "uml", True, "native"),
    ],
)
def test_the_kind(
    wanted: str | None, variable: str | None, root: bool, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked for goes first, then LABKIT_MACHINE, then what fits the user."""
    monkeypatch.setattr(doctor, "may_administrate", lambda: root)
    monkeypatch.delenv("LABKIT_MACHINE", raising=False)
    if variable is not None:
        monkeypatch.setenv("LABKIT_MACHINE", variable)

    monkeypatch.setattr(doctor, "check", lambda kind: [])

    assert kind == doctor.choose_kind(wanted)


@pytest.mark.parametrize(
    ("possible", "kind"), [({"native", "uml"}, "native"), ({"native"}, "native"), ({"uml"}, "uml"), (set(), "native")]
)
def test_the_kind_of_a_root_in_a_cage(possible: set[str], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root who is let have no namespaces gets the kind that can boot; where none can, native says why."""
    monkeypatch.setattr(doctor, "may_administrate", lambda: True)
    monkeypatch.setattr(doctor, "check", lambda kind: [] if kind in possible else [Problem("No.", "Mend it.")])

    assert kind == doctor.choose_kind("auto")


@pytest.mark.parametrize(
    ("system", "processor", "kind", "words"),
    [
        ("Darwin", "arm64", "native", "This is Darwin"),
        ("Windows", "AMD64", "uml", "This is Windows"),
        ("Linux", "riscv64", "native", "this processor is riscv64"),
        ("Linux", "i686", "uml", "this processor is i686"),
        ("Linux", "aarch64", "uml", "User-Mode Linux exists for x86-64"),
    ],
)
def test_systems_and_processors(
    system: str, processor: str, kind: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no machine of the kind can exist, that alone is said: nothing else is looked for."""
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: processor)

    problems = doctor.check(kind)

    assert 1 == len(problems) and words in problems[0].found and problems[0].cure.endswith(".")


@pytest.mark.parametrize(
    ("files", "room_mib"),
    [
        ({"memory.max": GIB, "memory.current": GIB // 2, "memory.stat": "anon 1\nfile 0"}, 512),
        ({"memory.max": GIB, "memory.current": GIB, "memory.stat": f"file {GIB // 4}"}, 256),
        ({"memory.max": GIB, "memory.current": GIB, "memory.stat": f"file {GIB // 2}\nfile_mapped {GIB // 4}"}, 256),
        ({"memory.max": GIB, "memory.current": GIB, "memory.stat": f"file {GIB // 2}\nshmem {GIB // 2}"}, 0),
        (
            {
                "memory.max": GIB,
                "memory.current": GIB,
                "memory.stat": f"cache 0\ntotal_cache {GIB // 2}\ntotal_mapped_file {GIB // 4}\ntotal_shmem 0",
            },
            256,
        ),
        ({"memory.max": GIB, "memory.current": GIB + 1, "memory.stat": "anon 1"}, 0),
        ({"memory.max": "max", "memory.current": GIB, "memory.stat": "anon 1"}, 1 << 40),
        ({"memory.max": "", "memory.current": GIB, "memory.stat": "anon 1"}, 1 << 40),
        ({"memory.stat": "anon 1"}, 1 << 40),
    ],
)
def test_room_in_a_group(files: dict[str, object], room_mib: int, tmp_path: Path) -> None:
    """The limit less the use; files count as free, unless they are a process's memory or lie in memory only."""
    for name, value in files.items():
        (tmp_path / name).write_text(f"{value}\n")

    assert room_mib == memory._room_in(tmp_path, "memory.max", "memory.current")


def test_a_limit_further_up_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group without a limit inside one that has one has that one, less what machines there will still take."""
    own = tmp_path / "pod/container"
    own.mkdir(parents=True)
    for group, limit in ((own, "max"), (own.parent, GIB)):
        for name, value in {"memory.max": limit, "memory.current": 0, "memory.stat": "anon 0"}.items():
            (group / name).write_text(f"{value}\n")
    monkeypatch.setattr(memory, "CGROUP_MEMORY", ((tmp_path, "", "memory.max", "memory.current"),))
    monkeypatch.setattr(memory, "find_own_group", lambda top, controller: top / "pod/container")
    monkeypatch.setattr(memory, "promised_mib", lambda machine_mib, groups: 24)

    assert 1000 == memory.group_memory_mib(500)


@pytest.mark.parametrize(
    ("host", "group", "words"),
    [(100, 9999, "100 MiB are free on this host"), (9999, 99, "99 MiB are free within this container's limit")],
)
def test_too_little_memory(host: int, group: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smaller of the two is named, and what a machine takes."""
    monkeypatch.setattr(doctor, "host_memory_mib", lambda *_: host)
    monkeypatch.setattr(doctor, "group_memory_mib", lambda *_: group)

    (problem,) = doctor._check_memory("uml")

    assert words in problem.found and str(memory.NEEDED_MIB["uml"]) in problem.found and "Shut down" in problem.cure


def test_missing_programs_have_one_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence names all that is missing, and one command installs the packages that hold it."""
    monkeypatch.setattr(shutil, "which", lambda program, path: None)
    monkeypatch.setattr(programs, "find_program", lambda: None)

    (problem,) = programs.check_programs("uml")

    assert all(
        name in problem.found for name in ("dockerd, ", "docker, ", "curl, ", "nsenter and linux.uml are missing")
    )
    assert "apt-get install docker.io " in problem.cure and " user-mode-linux (" in problem.cure


@pytest.mark.parametrize(
    ("release", "package"),
    [
        ({"ID": "debian", "VERSION_ID": "12"}, "docker.io"),
        ({"ID": "debian", "VERSION_ID": "13"}, "docker-cli"),
        ({"ID": "debian"}, "docker-cli"),
        ({"ID": "ubuntu", "VERSION_ID": "24.04"}, "docker.io"),
    ],
)
def test_the_package_of_the_docker_command(
    release: dict[str, str], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian 13 has the command in a package apart; where only it is missing, the cure names that one, once."""
    monkeypatch.setattr(shutil, "which", lambda program, path: program != "docker" or None)
    monkeypatch.setattr(programs, "find_program", lambda: Path("linux.uml"))
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)

    (problem,) = programs.check_programs("uml")

    assert f"Run: apt-get install {package} (or `make setup`), as root." == problem.cure


def elf(*segments: int) -> bytes:
    """A 64-bit ELF file's header, and a program header of each type."""
    head = b"\x7fELF\x02\x01\x01".ljust(32, b"\0") + struct.pack("<QQIHHHHHH", 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    return head + b"".join(struct.pack("<I52x", segment) for segment in segments)


PT_LOAD, PT_PHDR = 1, 6


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (elf(PT_LOAD, PT_LOAD), 0),
        (elf(PT_PHDR, busybox.PT_INTERP, PT_LOAD), 1),
        (b"#!/bin/sh\n", 1),
        (None, 0),
    ],
    ids=["static", "dynamic", "a script", "missing"],
)
def test_a_dynamic_busybox(content: bytes | None, count: int, tmp_path: Path) -> None:
    """It would not run in an image made of it; that it is missing is said elsewhere."""
    program = tmp_path / "busybox"
    if content is not None:
        program.write_bytes(content)

    found = [str(problem) for problem in programs.check_busybox(program)]

    assert count == len(found)
    assert all("busybox is the dynamic one" in words and "apt-get install busybox-static" in words for words in found)


def test_the_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made for its user alone; a link, a long name or a kernel's file system is refused."""
    monkeypatch.setenv("LABKIT_TMPDIR", str(tmp_path))
    assert tmp_path / f"labkit-{os.getuid()}" == places.state_dir()
    assert 0o700 == places.state_dir().stat().st_mode & 0o777

    long, linked = tmp_path / ("x" * 100), tmp_path / "linked"
    long.mkdir()
    linked.mkdir()
    (linked / f"labkit-{os.getuid()}").symlink_to(tmp_path)
    for place, words in (
        (long, "too long a name"),
        (linked, "belongs to somebody else"),
        ("/dev/shm", "of the kernel"),
    ):
        monkeypatch.setenv("LABKIT_TMPDIR", str(place))
        with pytest.raises(MachineError, match=words):
            places.state_dir()


def test_all_problems_are_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who repairs one thing does not meet the next one only then."""
    found = [Problem("One is wrong.", "Mend it."), Problem("So is two.", "Mend it too.")]
    monkeypatch.setattr(doctor, "check", lambda kind: found)

    with pytest.raises(MachineError, match=r"One is wrong\. Mend it\. So is two\. Mend it too\. \(`labkit doctor`"):
        doctor.require("uml")


@pytest.mark.parametrize(
    ("variable", "possible", "status"),
    [
        ("", {"native", "uml"}, 0),
        ("", {"uml"}, 0),
        ("", set(), 1),
        ("auto", {"uml"}, 0),
        ("uml", {"uml"}, 0),
        ("native", {"uml"}, 1),
        ("none such", {"native", "uml"}, 1),
    ],
)
def test_the_exit_status(
    variable: str, possible: set[str], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """1 where no machine is possible, or not the one named; each problem is on a line with its cure below."""
    problem = Problem("It is wrong.", "Mend it.")
    monkeypatch.setenv("LABKIT_MACHINE", variable)
    monkeypatch.setattr(doctor, "check", lambda kind: [] if kind in possible else [problem])

    assert status == cli.main(["doctor"])
    assert 2 - len(possible) == capsys.readouterr().out.count("        It is wrong.\n          -> Mend it.")


@pytest.mark.parametrize(
    ("variable", "boots", "status", "host"),
    [
        ("", {"native", "uml"}, 0, []),
        ("", {"uml"}, 2, ["The kind used here, native, does not boot."]),
        ("", set(), 1, []),
        ("uml", {"native"}, 1, ["LABKIT_MACHINE=uml cannot boot here."]),
    ],
)
def test_what_does_not_boot_is_not_ok(
    variable: str, boots: set[str], status: int, host: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no known reason is found, a machine is booted; `make lab` stops where the kind that it takes fails."""
    monkeypatch.setenv("LABKIT_MACHINE", variable)
    monkeypatch.setattr(doctor, "may_administrate", lambda: True)
    monkeypatch.setattr(doctor, "check", lambda kind: [])
    monkeypatch.setattr(doctor, "_check_home", lambda: iter(()))
    monkeypatch.setattr(doctor, "boot_once", lambda kind: [] if kind in boots else [Problem("No.", "Try.")])

    report = doctor.examine()

    assert boots == {kind for kind, found in report["kinds"].items() if found["ok"]}
    assert host == [problem["found"] for problem in report["host"]]
    assert (status, (variable or "native") in boots) == (cli.main(["doctor"]), report["machine"] is not None)


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("exit 0", []),
        ("echo 'labkit: The machine is gone: it\n broke.' >&2; exit 125", ["The machine is gone: it broke."]),
        ("exit 3", ["status 3"]),
        ("head -c 9999 /dev/zero | tr '\\0' y >&2; exit 1", ["y" * 1000]),
    ],
)
def test_the_words_of_a_machine_that_fails(
    script: str, found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are passed on, on one line of some length, with the command that says them again."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ntest "$*" = "-P -m labkit.cli run --machine uml -- true" || exit 99\n{script}\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))

    problems = BOOT_ONCE("uml")

    assert [f"A machine was booted, and failed: {words}" for words in found] == [
        each.found.strip() for each in problems
    ]
    assert all(each.cure == "Try again: labkit run --machine uml -- true" for each in problems)


@pytest.mark.parametrize(
    ("gcc", "found"), [("exit 0", []), ("cat >/dev/null; exit 1", ["gcc is here, but it finds no stdio.h"]), ("", [])]
)
def test_gcc_without_headers_is_told(
    gcc: str, found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It compiles nothing. Where there is no gcc at all, the list of missing programs has it."""
    if gcc:
        (tmp_path / "gcc").write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin; {gcc}\n")
        (tmp_path / "gcc").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert found == [problem.found.partition(":")[0] for problem in programs.check_headers()]


def test_a_host_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 where a machine can boot, but JupyterLab has no place for its settings: `make lab` stops there."""
    monkeypatch.setattr(doctor, "check", lambda kind: [])
    monkeypatch.setattr(doctor, "_check_home", lambda: iter([Problem("No home.", "Set HOME.")]))

    assert 2 == cli.main(["doctor"])


@pytest.mark.parametrize(
    ("variable", "possible", "found"),
    [
        ("native", {"uml"}, ["LABKIT_MACHINE=native cannot boot here. Set it to uml, or unset it."]),
        ("native", set(), []),
        ("native", {"native"}, []),
        ("auto", {"uml"}, []),
    ],
)
def test_a_named_kind_that_cannot_boot(
    variable: str, possible: set[str], found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said where the other kind could; where none can, each kind's own problems say all."""
    monkeypatch.setenv("LABKIT_MACHINE", variable)
    monkeypatch.setattr(doctor, "_check_home", lambda: iter(()))
    monkeypatch.setattr(doctor, "check", lambda kind: [] if kind in possible else [Problem("No.", "Mend it.")])

    assert found == [f"{problem['found']} {problem['cure']}" for problem in doctor.examine()["host"]]


@pytest.mark.parametrize(
    ("name", "words"),
    [("with space", "has a space or a comma"), ("a,b", "has a space or a comma"), ("é" * 60, "is too long a name")],
)
def test_a_directory_that_cannot_hold_a_machine(
    name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name stands on a kernel's command line and in the address of a socket, which counts bytes."""
    (tmp_path / name).mkdir()
    monkeypatch.setenv("LABKIT_TMPDIR", str(tmp_path / name))

    with pytest.raises(MachineError, match=words):
        places.state_dir()


def test_a_relative_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What LABKIT_TMPDIR names is the same for everybody, wherever he stands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABKIT_TMPDIR", ".")

    assert tmp_path / f"labkit-{os.getuid()}" == places.state_dir()


def test_a_link_into_the_kernels_file_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that leads to /dev/shm is no way around: a user-mode kernel has a /dev of its own."""
    (tmp_path / "link").symlink_to("/dev/shm")
    monkeypatch.setenv("LABKIT_TMPDIR", str(tmp_path / "link"))

    with pytest.raises(MachineError, match="lies on a file system of the kernel"):
        places.state_dir()


def test_a_directory_is_full_of_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What machines that run will still write is no room for another one's memory."""
    monkeypatch.setattr(places, "promised_mib", lambda *_: 1 << 40)

    assert "only 0 MiB free" in str(places._try_memory_dir(str(tmp_path), 1))


def test_too_many_open_files_is_no_question_of_ports() -> None:
    """The cure fits the error."""
    words = str(ports.name_port_problem(OSError(errno.EMFILE, os.strerror(errno.EMFILE))))

    assert "No more files can be opened (Too many open files)" in words and "ulimit -n" in words
