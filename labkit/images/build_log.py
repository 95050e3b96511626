"""What did the engine's builder do with each line of a Dockerfile?

It says so while it builds, in lines of text: "Step 2/5 : RUN ...", and below each step where its result comes from.
This is the builder that `POST /build` has without further words; BuildKit tells its steps in another way. Source:
Engine API, "Build an image".

>>> said = ["Step 1/2 : FROM busybox", " ---> 539e5ddccb9b", "Step 2/2 : ENV A=b", " ---> Using cache"]
>>> [step.how for step in parse_steps("\\n".join([*said, "Successfully built d77f91216532"]))]
['the base', 'from the cache']
"""

import re
from typing import NamedTuple

__all__ = ["BASE", "BUILT", "CACHED", "FAILED", "Step", "parse_steps"]

BASE, CACHED, BUILT, FAILED = "the base", "from the cache", "built", "failed"
_STEP = re.compile(r"^Step \d+/\d+ : (.*)$", re.M)


class Step(NamedTuple):
    """A line of a Dockerfile, and what was done: "the base" (FROM), "from the cache", "built", or "failed"."""

    line: str
    how: str


def parse_steps(text: str) -> list[Step]:
    """Read what a build said: each line of the Dockerfile that it came to, and what it did with the line."""
    found = [*_STEP.finditer(text)]
    ends = [*(one.start() for one in found[1:]), len(text)]
    steps = [Step(one[1], _how(text[one.start() : end])) for one, end in zip(found, ends, strict=False)]
    if steps and "Successfully built" not in text:
        steps[-1] = steps[-1]._replace(how=FAILED)
    return steps


def _how(said: str) -> str:
    if " ---> Using cache" in said:
        return CACHED
    return BASE if re.match(r"Step \S+ : FROM\b", said, re.IGNORECASE) else BUILT
