"""Does a container hear, and does it answer?"""

import secrets
import time

from labkit.api.engine import Engine
from labkit.check.finding import find_container, judge_running
from labkit.check.log import read_log
from labkit.check.verdict import Verdict
from labkit.errors import EngineRefusal

__all__ = ["check_heard"]

TAIL_LINES = 50
REPLY_S = 5.0


def check_heard(engine: Engine, name: str, words: str) -> Verdict:
    """Has a running container repeated, in its log, words that it can only have read, and does it go on?

    It is attached to, and sent a word that nobody knows beforehand.
    """
    container = find_container(engine, name)
    if isinstance(container, Verdict):
        return container
    command = " ".join([container["Path"], *container["Args"]])
    if trouble := judge_running(container):
        return Verdict(True, f"{name} exists, but {trouble}")
    if container["Config"]["Tty"]:
        return Verdict(True, f"{name} has a terminal, which repeats by itself what is typed: start it without one")
    if words in command or words in " ".join(container["Config"]["Env"] or []):
        return Verdict(True, f"{name} was started with {words!r}: let it read them from its input")
    if not container["Config"]["OpenStdin"]:
        return Verdict(True, f"{name} has no input: it was made without OpenStdin")
    try:
        if words not in "".join(read_log(engine, name, tail=TAIL_LINES).values()):
            return Verdict(True, f"{name} has not repeated {words!r} yet")
        new = secrets.token_hex(8)
        with engine.hijack("POST", f"/containers/{name}/attach", query={"stream": True, "stdin": True}) as talk:
            talk.send(f"{new}\n".encode())
            deadline = time.monotonic() + REPLY_S
            while time.monotonic() < deadline:
                if new in "".join(read_log(engine, name, tail=TAIL_LINES).values()):
                    return Verdict(True)
                time.sleep(0.05)
    except EngineRefusal as error:
        return Verdict(True, f"{name} cannot be talked to: {error}")
    return Verdict(True, f"{name} has repeated {words!r}, but not what it was told just now")
