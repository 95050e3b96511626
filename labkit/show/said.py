"""Which parts does a text have in which somebody says something to the engine?

A text is what `labkit.lesson.beside` puts into a pane: a line of the shell and what it printed, an exchange as it went
over the wire, or anything else. Its parts are told apart by how they look, since that is all that a reader has.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

__all__ = ["Kind", "Piece", "read_pieces", "shared_values"]

Kind = Literal["command", "request", "header", "headers", "status", "body", "output", "rows"]

REQUEST = re.compile(r"^([A-Z]{3,8}) (/\S*) HTTP/1\.[01]$")
STATUS = re.compile(r"^HTTP/1\.[01] (\d{3})\b.*$")
HEADER = re.compile(r"^[\w-]+: ?.*$")
TOLD = ("content-type", "upgrade")  # of the headers, what says how to read what follows
ROWS = re.compile(r"^(?:[0-9a-f]{4,8}  (?:[0-9a-f]{2} )+|[0-7]{7}(?: |$)|\d+ bytes|… \d+ bytes)")  # of a dump
CURL_BODY = re.compile(r"(?:-d|--data(?:-\w+)?)[ =]?(?:'([^']*)'|\"([^\"]*)\")")
LEAST = 3  # characters of a value that is looked for elsewhere


class Piece(NamedTuple):
    """A part of a text, and what it is; "header" is one that matters, "headers" are the others."""

    kind: Kind
    text: str


def read_pieces(text: str) -> list[Piece]:
    """Take a text apart.

    >>> [piece.kind for piece in read_pieces("GET /info HTTP/1.1\\nHost: docker\\n\\nHTTP/1.1 200 OK\\n\\n{}")]
    ['request', 'headers', 'status', 'body']
    """
    lines = text.splitlines()
    if lines and lines[0].startswith("$ "):
        curl = re.search(r"\bcurl\b", lines[0]) is not None
        return [Piece("command", lines[0]), *_output(lines[1:], "body" if curl else "output")]
    if lines and REQUEST.match(lines[0]):
        place = next((number for number, line in enumerate(lines) if STATUS.match(line)), len(lines))
        return [*_message(lines[:place], "request"), *_answer(lines[place:])]
    return list(_output(lines, "output"))


def shared_values(pieces: Sequence[Piece]) -> set[str]:
    """Give what another way to say it may have, too: what a request carries, an error's message."""
    found: set[str] = set()
    place = next((number for number, piece in enumerate(pieces) if piece.kind == "status"), len(pieces))
    for number, (kind, text) in enumerate(pieces):
        if kind == "command":
            for match in CURL_BODY.finditer(text):
                found |= set(_strings(_read_json(match[1] or match[2] or "")))
        elif kind == "body":
            value = _read_json(text)
            if pieces[0].kind == "request" and number < place:
                found |= set(_strings(value))
            elif isinstance(value, dict):
                found |= set(_strings(value.get("message")))
    return {value for value in found if len(value) >= LEAST and value.isprintable()}


def _message(lines: Sequence[str], first: Literal["request", "status"]) -> Iterator[Piece]:
    """A head, its headers in two parts, and the body."""
    if not lines:
        return
    yield Piece(first, lines[0])
    end = next((number for number, line in enumerate(lines) if not line.strip()), len(lines))
    headers = lines[1:end]
    told = [line for line in headers if line.lower().startswith(TOLD)]
    others = [line for line in headers if line not in told]
    if told:
        yield Piece("header", "\n".join(told))
    if others:
        yield Piece("headers", "\n".join(others))
    yield from _output(lines[end + 1 :], "body")


def _answer(lines: Sequence[str]) -> Iterator[Piece]:
    return _message(lines, "status")


def _output(lines: Sequence[str], kind: Literal["body", "output"]) -> Iterator[Piece]:
    """What came: with `curl -i` a whole answer, rows of a dump, JSON, or a text; a status that curl adds is apart."""
    lines = list(lines)
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        return
    if kind == "body" and STATUS.match(lines[0]):
        yield from _answer(lines)
    elif all(ROWS.match(line) for line in lines):
        yield Piece("rows", "\n".join(lines))
    else:
        text, status = "\n".join(lines), ""
        if kind == "body" and (match := re.fullmatch(r"(?s)(.*?)\s*([1-5]\d\d)", text)):
            text, status = match.groups()
            if text and not text.endswith(("}", "]")):
                text, status = "\n".join(lines), ""
        if text:
            yield Piece(kind, _indented(text))
        if status:
            yield Piece("status", status)


def _indented(text: str) -> str:
    """Indent what is JSON; several values, one a line, stay one a line."""
    value = _read_json(text)
    return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict | list) else text


def _read_json(text: str) -> object:
    """Give the value, or None where it is no JSON."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
