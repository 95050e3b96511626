"""Does a long command say on a terminal how far it is, tidy up after itself, and end at Ctrl-C with one line?"""

import gzip
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from labkit.images.archives import analyse_file
from tests.unit.test_archives import pack, saved, saved_as

LABKIT = str(Path(sys.executable).with_name("labkit"))
# Two messages, one after the other, without the second of patience; then the line is cleared.
SHOWN = """
import labkit.terminal as terminal
terminal.FIRST_S = terminal.NEXT_S = 0
progress = terminal.Progress()
progress(1_500_000_000, 3_000_000_000)
progress(2_000_000_000, 0)
progress.clear()
print("done")
"""
WAITS = """
import time
from labkit.terminal import exit_on_interrupt
exit_on_interrupt()
print("ready", flush=True)
time.sleep(60)
"""


def on_terminal(code: str, columns: int) -> str:
    """What a program writes to a terminal of so many columns."""
    spawned = pexpect.spawn(sys.executable, ["-c", code], dimensions=(24, columns), encoding="utf-8", timeout=20)
    spawned.expect(pexpect.EOF)
    spawned.close()
    assert 0 == spawned.exitstatus, spawned.before
    return str(spawned.before)


def test_progress_is_one_line_that_is_cleared() -> None:
    """Each message takes the place of the one before; at the end the line is empty."""
    assert "\r 50% of 3,000 MB read\x1b[K\r2,000 MB read\x1b[K\r\x1b[Kdone\r\n" == on_terminal(SHOWN, 80)


def test_progress_fits_a_narrow_terminal() -> None:
    """A longer line would be wrapped, and the next one would not take its place."""
    messages = re.findall(r"\r([^\r\x1b]+)\x1b", on_terminal(SHOWN, 12))

    assert [" 50% of 3,0", "2,000 MB re"] == messages


def test_progress_is_silent_without_a_terminal() -> None:
    """A log of CI has no use for it."""
    done = subprocess.run([sys.executable, "-c", SHOWN], capture_output=True, text=True, check=True)

    assert ("done\n", "") == (done.stdout, done.stderr)


def test_ctrl_c_gives_one_line() -> None:
    """On the line of the message, which is cleared, and status 130."""
    spawned = pexpect.spawn(sys.executable, ["-c", WAITS], encoding="utf-8", timeout=20)
    spawned.expect("ready\r\n")
    spawned.sendintr()
    spawned.expect(pexpect.EOF)
    spawned.close()

    assert ("^C\r\x1b[Klabkit: interrupted\r\n", 130) == (spawned.before, spawned.exitstatus)


def test_layers_ends_at_ctrl_c(tmp_path: Path) -> None:
    """While it reads a pipe that gives nothing; no traceback, and no control characters where there is no terminal."""
    pipe = tmp_path / "image.tar"
    os.mkfifo(pipe)
    command = [LABKIT, "layers", str(pipe)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running,
        pipe.open("wb"),  # as soon as the other side has opened it
    ):
        running.send_signal(signal.SIGINT)
        said = running.communicate(timeout=20)

    assert (130, (b"", b"labkit: interrupted\n")) == (running.returncode, said)


@pytest.mark.parametrize("form", ["plain", "gzip", "packed layers"])
def test_progress_ends_at_the_whole(tmp_path: Path, form: str) -> None:
    """What is told grows, never beyond the bytes of the file, however the archive is compressed."""
    layers = [pack({"a": os.urandom(3_000_000)}), pack({"b": os.urandom(2_000_000)})]
    archive = tmp_path / "image.tar"
    if form == "packed layers":
        packed = [gzip.compress(layer, 1) for layer in layers]
        archive.write_bytes(saved_as(layers, packed))
    else:
        archive.write_bytes(gzip.compress(saved(layers), 1) if form == "gzip" else saved(layers))
    told: list[tuple[int, int]] = []

    analyse_file(archive, progress=lambda done, total: told.append((done, total)))

    size = archive.stat().st_size
    assert {size} == {total for _, total in told}
    assert told == sorted(told) and 0.9 * size < told[-1][0] <= size
