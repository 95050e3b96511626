"""Does the rehearsal read every message that a kernel sends through the Jupyter server?"""

import json
import struct

from tools.rehearse import read_message

MESSAGE = {"msg_type": "comm_open", "content": {"data": {"state": {"tree": "é"}}}}


def test_a_message_with_bytes_of_a_view() -> None:
    """The bytes of a view follow the message, which is the same as in a frame of text."""
    text = json.dumps(MESSAGE).encode()
    for views in ([], [b"\x00\xff"], [b"", bytes(1000)]):
        places = [4 + 4 * (1 + len(views))]
        for part in (text, *views[:-1]):
            places.append(places[-1] + len(part))
        frame = struct.pack(f">{2 + len(views)}I", 1 + len(views), *places[: 1 + len(views)]) + text + b"".join(views)

        assert MESSAGE == read_message(frame) == read_message(text.decode())
