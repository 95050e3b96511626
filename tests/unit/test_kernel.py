"""Which kernel does a user-mode machine take, and is `make kernel`'s product whole or not there?"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.machine import doctor
from labkit.machine.outside import kernel
from tests.machine import seccomp
from tools import kernel as build

ROOT = Path(__file__).resolve().parents[2]


def put(program: Path, release: str) -> Path:
    """A program that says, as a user-mode kernel does, which release it is."""
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\necho {release}\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with Debian's kernel and an empty cache."""
    put(tmp_path / "bin/linux.uml", "6.1.176")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("LABKIT_KERNEL", raising=False)
    return tmp_path


def own(shelf: Path, version: str, digest: str | None = None) -> Path:
    return put(shelf / f"{version}-{digest or kernel.configuration_digest()}/linux.uml", f"{version}-lab")


def test_debians_kernel_is_taken_where_no_other_is(host: Path) -> None:
    assert kernel.Kernel(host / "bin/linux.uml", "6.1.176") == kernel.find_kernel()


def test_the_labs_own_is_preferred_and_of_these_the_newest(host: Path) -> None:
    """Versions are compared as numbers: 7.10 is newer than 7.9."""
    own(kernel.cache_dir(), "7.9.1-1")
    newest = own(kernel.cache_dir(), "7.10.2-1")

    found = kernel.find_kernel()

    assert found is not None and (newest, True) == (found.program, found.is_own)


def test_one_of_another_configuration_is_left_alone(host: Path) -> None:
    """kernel.config is part of the key: who changes it gets another kernel, not the old one by mistake."""
    own(kernel.cache_dir(), "7.2.12-1", digest="01234567")

    assert host / "bin/linux.uml" == kernel.find_program()


def test_an_image_has_the_labs_own_in_place_of_debians(host: Path) -> None:
    """There it is the linux.uml on PATH, and known by its release: a hub may cover the home, and with it a cache."""
    put(host / "bin/linux.uml", "7.2.12-lab")

    found = kernel.find_kernel()

    assert found is not None and (host / "bin/linux.uml", True) == (found.program, found.is_own)


def test_the_kernel_that_is_named_comes_first(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own(kernel.cache_dir(), "7.2.12-1")
    named = put(host / "my kernel", "6.12.43")
    monkeypatch.setenv("LABKIT_KERNEL", str(named))

    assert kernel.Kernel(named, "6.12.43") == kernel.find_kernel()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not run as a User-Mode Linux: No such file or directory."),
        ("#!/bin/sh\necho wrong glibc >&2\nexit 1\n", "does not run as a User-Mode Linux: wrong glibc."),
        ("#!/bin/sh\nexit 3\n", "does not run as a User-Mode Linux: --version ends with status 3."),
        ("#!/bin/sh\necho hello\n", "is no User-Mode Linux: --version gives 'hello'."),
    ],
)
def test_a_named_file_that_is_no_kernel_is_refused_with_the_cure(
    content: str | None, words: str, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else is taken in its place."""
    named = host / "named"
    if content is not None:
        named.write_text(content)
        named.chmod(0o755)
    monkeypatch.setenv("LABKIT_KERNEL", str(named))

    with pytest.raises(kernel.NoKernel) as refused:
        kernel.find_kernel()

    assert f"{named} {words} Name another file in LABKIT_KERNEL, or unset it." == str(refused.value)


def test_the_cure_names_the_place_of_a_broken_own_kernel(host: Path) -> None:
    """It was built on another Debian, say, whose C library was newer."""
    broken = own(kernel.cache_dir(), "7.2.12-1")
    broken.write_text("#!/bin/sh\nexit 1\n")

    with pytest.raises(kernel.NoKernel, match=f"Remove {broken.parent}, and run `make kernel` again."):
        kernel.find_kernel()


@pytest.mark.parametrize(
    ("release", "allowed", "options"),
    [
        ("6.1.176", True, []),
        ("6.12.43", True, []),
        ("7.2.12-lab", True, ["seccomp=on"]),
        ("7.2.12-lab", False, ["seccomp=off"]),
    ],
)
def test_a_kernel_that_knows_seccomp_is_told_whether_it_is_allowed(
    release: str, allowed: bool, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older one would pass the word on to its first process; without a filter, it is ptrace(2) that is needed."""
    monkeypatch.setattr(kernel, "may_filter", lambda: allowed)
    found = kernel.Kernel(Path("linux.uml"), release)

    assert (options, options != ["seccomp=on"]) == (found.options(), found.needs_ptrace)


@pytest.mark.parametrize(("refused", "may"), [("seccomp", False), ("ptrace", True)])
def test_whether_a_filter_is_allowed_is_tried(refused: str, may: bool) -> None:
    """Under a filter that refuses seccomp(2) no other can be put; this process itself is under none afterwards."""
    ask = "from labkit.machine.outside.kernel import may_filter; print(may_filter())"
    command = [sys.executable, seccomp.__file__, json.dumps(seccomp.refuse(refused)), sys.executable, "-c", ask]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)

    assert f"{may}\n" == done.stdout
    assert kernel.may_filter() and "Seccomp:\t0\n" in Path("/proc/self/status").read_text()


def test_a_comment_of_the_configuration_is_no_other_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, settings = kernel.configuration_digest(), kernel.CONFIG.read_text()
    changed = tmp_path / "kernel.config"
    monkeypatch.setattr(kernel, "CONFIG", changed)

    changed.write_text("# a word more\n" + settings)
    assert before == kernel.configuration_digest()

    changed.write_text(settings + "CONFIG_SMP=y\n")
    assert before != kernel.configuration_digest()


def test_each_group_of_the_configuration_says_why_it_is_there() -> None:
    """A blank line parts the groups, and each begins with its reason; no option is set twice."""
    groups = kernel.CONFIG.read_text().strip().split("\n\n")
    options = [line.partition("=")[0] for line in kernel.CONFIG.read_text().splitlines() if line.startswith("CONFIG_")]

    assert [] == [group for group in groups if not group.startswith("# ")]
    assert len(set(options)) == len(options) > 100


def test_a_build_that_was_killed_leaves_nothing_that_is_taken(host: Path) -> None:
    """What it had made is not found by machines, and the next build begins by removing it."""
    shelf = kernel.cache_dir()
    left = put(shelf / "building/finished/linux.uml", "7.2.12-lab")

    assert host / "bin/linux.uml" == kernel.find_program()
    with build.workplace(shelf) as place:
        assert [] == list(place.iterdir()) and not left.exists()
    assert [] == list(shelf.iterdir())


def test_two_builds_do_not_meet(host: Path) -> None:
    """The second waits for the first, and then finds its kernel."""
    shelf = kernel.cache_dir()
    with build.workplace(shelf):
        second = subprocess.Popen(
            [sys.executable, "-m", "tools.kernel"], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ
        )
        assert second.stdout is not None
        assert "waiting for its end" in second.stdout.readline()
        program = own(shelf, "7.2.12-1")
    said, _ = second.communicate(timeout=30)

    assert (0, f"kernel: it has just been built: {program}\n") == (second.returncode, said)


def test_a_kernel_that_does_not_run_here_is_built_anew(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One from a home that two Debians share, say."""
    own(kernel.cache_dir(), "7.2.12-1").write_text("#!/bin/sh\necho no such GLIBC >&2\nexit 1\n")

    assert build.find_built(kernel.cache_dir()) is None
    assert "no such GLIBC. It is built anew." in capsys.readouterr().out


def test_missing_tools_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    present = {"apt-get", "dpkg-deb", "tar", "xz", "make", "gcc", "ld", "bc", "perl"}
    monkeypatch.setattr(shutil, "which", lambda name, path: name if name in present else None)

    with pytest.raises(build.BuildError, match="run as root: apt-get install flex bison$"):
        build.check_tools()


def test_where_there_is_no_apt_the_build_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path: None if name == "apt-get" else name)

    with pytest.raises(build.BuildError, match="build it on Debian"):
        build.check_tools()


def test_an_option_that_the_source_does_not_take_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that lacks what the lessons stand on is not built."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build/.config").write_text("CONFIG_VETH=y\n# CONFIG_RSEQ is not set\n")
    config = tmp_path / "kernel.config"
    config.write_text("# why\nCONFIG_VETH=y\nCONFIG_RSEQ=y\n")
    monkeypatch.setattr(build, "CONFIG", config)
    monkeypatch.setattr(build, "run", lambda words, otherwise: "")

    with pytest.raises(build.BuildError, match="does not take these options of kernel.config: CONFIG_RSEQ=y$"):
        build.configure(tmp_path, tmp_path / "build")


def test_removing_removes_every_configuration(host: Path) -> None:
    own(kernel.cache_dir(), "7.2.12-1")
    own(kernel.cache_dir(), "7.2.12-1", digest="01234567")

    build.remove(kernel.cache_dir())

    assert not kernel.cache_dir().exists()


def test_a_program_that_fails_is_told_with_its_last_words() -> None:
    with pytest.raises(build.BuildError, match="^apt cannot fetch it: no such host$"):
        build.run(["sh", "-c", "echo no such host >&2; exit 100"], "apt cannot fetch it")


def test_debians_kernel_without_its_modules_is_a_problem_and_a_named_one_is_not(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's was built with modules; one that LABKIT_KERNEL names may have been built without any."""
    debians = kernel.Kernel(host / "bin/linux.uml", "6.1.0-nowhere")

    (problem,) = doctor._check_kernel(debians)
    assert "6.1.0-nowhere, are missing" in problem.found and "user-mode-linux" in problem.cure

    monkeypatch.setenv("LABKIT_KERNEL", str(debians.program))
    assert [] == list(doctor._check_kernel(debians))
