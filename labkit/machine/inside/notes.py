"""How does what a learner does leave the machine, whose files vanish?

A lesson sends a note, one datagram, to a socket of PID 1, which passes it on over the control line; the launcher reads
it and keeps it: labkit.progress. What is kept already came with the boot, and lies in a file beside the socket. Neither
is there where nothing is kept. A learner may remove both, or send anything: a note is bounded here and read outside.
"""

import json
import os
import socket
from contextlib import suppress
from typing import Any

from labkit.machine.boot_log import STATE

__all__ = ["KEPT", "NOTES", "hear_note", "open_notes", "send_note"]

NOTES = STATE / "notes"
KEPT = STATE / "kept.json"  # {"lessons": as in progress.json, "said": a sentence for the learner, or ""}
MAX_BYTES = 4096
PATIENCE_S = 0.5  # while PID 1 has others to hear


def open_notes(kept: dict[str, Any]) -> socket.socket:
    """Tell a lesson what is kept, and listen to its notes."""
    KEPT.write_text(json.dumps(kept))
    notes = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notes.bind(str(NOTES))
    notes.setblocking(False)
    return notes


def hear_note(notes: socket.socket) -> str:
    """Give the next note, or "" where there is none, or one that is too long."""
    try:
        data = notes.recv(MAX_BYTES + 1)
    except OSError:
        return ""
    return data.decode(errors="replace") if len(data) <= MAX_BYTES else ""


def send_note(text: str) -> None:
    """Send a note; where nobody hears it, nothing is kept, and the lesson goes on."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notes:
        notes.settimeout(PATIENCE_S)
        notes.sendto(text.encode(), os.fspath(NOTES))
