"""Which line of what a dying kernel wrote does a learner get to read?"""

from pathlib import Path

import pytest

from labkit.machine import last_words

BOOT = """Waiting for connection to /tmp/labkit-0/c7d16c3e/bess.sock
SELinux: CONFIG_SECURITY_SELINUX_CHECKREQPROT_VALUE is non-zero.  This is deprecated.
mmapper_init - find_iomem failed
Failed to initialize ubd device 0 :Couldn't determine size of device's file
uml-vector uml-vector.0 vec0: netif_napi_add_weight() called with weight 128
"""
TRACE = """CPU: 0 PID: 1 Comm: true Not tainted 6.1.176 #1
Stack:
 606944ba 607e7fcd 8103bb90 6067bb96
Call Trace:
 [<606944ba>] ? _printk+0x0/0x94
 [<6002c0dd>] new_thread_handler+0xae/0xb0
"""
NO_ROOT = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"
AMX = "userspace - ptrace set fp regs failed, errno = 14\nKernel panic - not syncing: Attempted to kill init!\n"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("", ""),
        (BOOT, ""),
        (f"{BOOT}{NO_ROOT}\n{TRACE}", NO_ROOT),
        (f"{BOOT}{AMX}{TRACE}", last_words.CURES["ptrace set fp regs failed"]),
        (
            "not this\nNot permitted\n/tmp must be not  mounted noexec\n\n",
            "Not permitted; /tmp must be not mounted noexec",
        ),
        ("info\nfatal error: newosproc\n\ngoroutine 1:\nruntime.throw({0x5611, 0x9})\n", "fatal error: newosproc"),
        ('time="x" level=info msg="closing"\nfailed to start daemon: no driver\n', "failed to start daemon: no driver"),
    ],
    ids=["nothing", "what every boot says", "a panic", "a state too short", "no kernel yet", "Go", "dockerd"],
)
def test_the_reason(words: str, reason: str) -> None:
    """The known cause with its cure, or the panic, or the last line; never an address, nor what every boot says."""
    assert reason == last_words.find_reason(words)


def test_a_long_reason_fits_a_message() -> None:
    """The guard's word to its owner is one message, in which a strange character takes six bytes."""
    assert last_words.MAX_REASON == len(last_words.find_reason("\ufffd" * 9999))


def test_one_file_keeps_the_whole_text(tmp_path: Path) -> None:
    """The sentence names it, and the next end writes it anew; it is for its user alone."""
    run_dir = tmp_path / "12345678"
    run_dir.mkdir()
    file = tmp_path / last_words.FILE

    said = [last_words.quote(f"{text}\n{TRACE}", run_dir) for text in (AMX, NO_ROOT)]

    assert f": {NO_ROOT} (all that was written: {file})" == said[1] and f"(all that was written: {file})" in said[0]
    assert f"{NO_ROOT}\n{TRACE}" == file.read_text()
    assert 0o600 == file.stat().st_mode & 0o777
    assert [] == list(run_dir.iterdir())


def test_what_cannot_be_kept(tmp_path: Path) -> None:
    """Where the directory is gone, the reason alone is told; where there is no reason, nothing is told or kept."""
    assert f": {NO_ROOT}" == last_words.quote(NO_ROOT, tmp_path / "gone")
    assert "" == last_words.quote(BOOT, tmp_path)
    assert [] == list(tmp_path.iterdir())
