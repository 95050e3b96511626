"""How long a call takes, whatever else the computer does."""

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def best_s(call: Callable[[], Result]) -> tuple[float, Result]:
    """The processor time of the quickest of three calls, in seconds, and what the last one gave."""
    seconds = []
    for _ in range(3):
        began = time.process_time()
        result = call()
        seconds.append(time.process_time() - began)
    return min(seconds), result
