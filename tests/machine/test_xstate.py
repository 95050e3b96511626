"""Does each process keep its registers on each kernel, also where the processor has AMX and the kernel knows none?

AMX is played where the processor has none: below the lab's own library, one of the test's makes the host's ptrace(2)
answer as it does there (amx_host.c).
"""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import pytest

from labkit.errors import MachineError
from labkit.machine import last_words
from labkit.machine.outside import kernel, xstate
from tests.machine.host import DEBIANS_KERNEL, LABKIT, find_kernels, run

HERE = Path(__file__).parent
SECONDS = 4
PROCESSES = 4
WITHOUT = "from labkit.machine.outside import xstate; xstate.is_needed = lambda version: False"


KERNELS = find_kernels()


def keep_registers(seconds: int = SECONDS) -> list[str]:
    """The command that has many processes keep their registers, and compare them; "ready" says that they begin."""
    source = quote(str(HERE / "avx.c"))
    return ["sh", "-c", f"gcc -O2 -pthread -o /tmp/avx {source} && echo ready && exec /tmp/avx {seconds}"]


def check_registers(done: "subprocess.CompletedProcess[bytes]") -> None:
    """All processes have compared their registers many times, and lost none; AVX-512's too, where there are any."""
    words = [line.split() for line in done.stdout.decode().splitlines()[1:]]
    has_512 = " avx512f " in Path("/proc/cpuinfo").read_text()
    assert [["avx512" if has_512 else "avx"]] * PROCESSES == [line[:1] for line in words], done
    assert all(int(rounds) > 2 for _, rounds in words), words
    assert 0 == done.returncode


@pytest.mark.parametrize("kind", ["uml"])
@pytest.mark.parametrize("name", KERNELS)
def test_every_process_keeps_its_registers(name: str, kind: str, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight threads in four processes use all vector registers at the same time, and get right results."""
    monkeypatch.setenv("LABKIT_KERNEL", KERNELS[name])

    check_registers(run(kind, *keep_registers()))


@dataclass(frozen=True, slots=True)
class Played:
    """A host with AMX: what labkit needs to meet it, and the file that has it forget registers."""

    library: Path
    forgets: Path

    def meet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have labkit ask this host, instead of the real one, how long a process's state is."""
        monkeypatch.setenv("LD_PRELOAD", str(self.library))


@pytest.fixture
def amx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    """A host with AMX for the kernel of Debian, which is started by a script of this name."""
    played = Played(tmp_path / "amx_host.so", tmp_path / "forgets")
    build = ["gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", str(played.library), str(HERE / "amx_host.c")]
    subprocess.run(build, check=True)
    program = tmp_path / kernel.PROGRAM
    program.write_text(
        f'#!/bin/sh\nexport AMX_FORGETS={quote(str(played.forgets))} LD_PRELOAD="$LD_PRELOAD:{played.library}"\n'
        f'exec {KERNELS[DEBIANS_KERNEL]} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("LABKIT_KERNEL", str(program))
    yield played


@pytest.mark.parametrize("kind", ["uml"])
def test_a_processor_with_amx(kind: str, amx: Played, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's kernel boots there, and each process keeps its registers; the doctor says ok."""
    amx.meet(monkeypatch)

    check_registers(run(kind, *keep_registers()))
    assert [] == doctor_says(kind)


@pytest.mark.parametrize("kind", ["uml"])
def test_the_check_sees_a_lost_register(kind: str, amx: Played, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that gives the processes' registers back as zeros is found out: the tests above can fail."""
    amx.meet(monkeypatch)
    command = [LABKIT, "run", "--machine", kind, "--", *keep_registers(60)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None and client.stdout.readline() == b"ready\n"

        amx.forgets.touch()

        assert client.stdout.readline().startswith(b"a register was lost in round")
        amx.forgets.unlink()
        client.terminate()


@pytest.mark.parametrize("kind", ["uml"])
def test_a_kernel_that_dies_is_told_in_one_sentence(
    kind: str, amx: Played, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the library that kernel aborts: cause and cure are said, without an address, and where the rest is.

    The doctor says the same, and not ok.
    """
    (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    file = state / f"labkit-{os.getuid()}" / last_words.FILE
    reason = last_words.CURES["ptrace set fp regs failed"]

    done = run(kind, "true")

    said = f"The machine is gone: the machine was killed (SIGABRT): {reason} (all that was written: {file})."
    assert (125, f"labkit: {said}\n") == (done.returncode, done.stderr.decode())
    assert "Call Trace:" in file.read_text()
    assert [f"A machine was booted, and failed: {said}"] == doctor_says(kind)
    assert [file] == list(file.parent.iterdir())


def doctor_says(kind: str) -> list[str]:
    """What keeps a machine of this kind from booting, by `labkit doctor`."""
    done = subprocess.run([LABKIT, "doctor", "--json"], stdout=subprocess.PIPE, check=False)
    found = json.loads(done.stdout)["kinds"][kind]
    assert found["ok"] == (not found["problems"])
    return [problem["found"] for problem in found["problems"]]


@pytest.mark.parametrize(("version", "needed"), [((6, 1), True), ((6, 12), True), ((6, 13), False), ((7, 2), False)])
def test_which_kernels_need_the_library(version: tuple[int, int], needed: bool, amx: Played) -> None:
    """Those that keep less than the processor has; without AMX none does."""
    script = "import sys; from labkit.machine.outside import xstate\n"
    script += f"print(xstate.read_size(), xstate.is_needed({version}))"
    python = [str(Path(LABKIT).with_name("python")), "-c", script]

    played = subprocess.check_output(python, env={**os.environ, "LD_PRELOAD": str(amx.library)}, text=True)
    size, here = subprocess.check_output(python, text=True).split()

    assert f"11008 {needed}\n" == played
    assert (int(size) > xstate.KEPT_BYTES and needed) == (here == "True")
    assert (int(size) > xstate.KEPT_BYTES) == (" amx_tile " in Path("/proc/cpuinfo").read_text())


@pytest.mark.parametrize(
    ("gcc", "words"), [(None, "No such file or directory: 'gcc'"), ("echo ld: cannot >&2; exit 1", ": ld: cannot.")]
)
def test_a_library_that_is_not_built(
    gcc: str | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What gcc said, and the cure."""
    if gcc:
        (tmp_path / "gcc").write_text(f"#!/bin/sh\n{gcc}\n")
        (tmp_path / "gcc").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MachineError) as caught:
        xstate.open_library(tmp_path, tmp_path)

    assert words in str(caught.value) and "apt-get install gcc libc6-dev" in str(caught.value)
