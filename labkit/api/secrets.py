"""What is never kept of what was said to an engine?

Passwords, tokens and keys, wherever the Engine API's reference puts one: in headers, in the target, in the body of a
request, in the body of an answer. The client's record and the tap's ask here. An environment variable in the body of
`/containers/create` is kept: lessons show that body, and the engine itself shows it to everybody who asks.

>>> mask_target("/build?remote=https://me:pw@example.org/x.git&buildargs=%7B%22KEY%22%3A%22s3%22%7D")
'/build?remote=https://(masked)@example.org/x.git&buildargs=(masked)'
"""

import re
from collections.abc import Mapping

__all__ = ["MASK", "hides_answer", "hides_request", "mask_head", "mask_headers", "mask_target"]

MASK = "(masked)"

_HEADERS = ("x-registry-auth", "x-registry-config", "authorization", "proxy-authorization")
# Whose body holds a secret. That of a push held one before there was X-Registry-Auth, and engines still take it.
_HIDES_REQUEST = re.compile(
    r"/(auth|secrets/create|secrets/[^/]+/update|swarm/(init|join|unlock|update)|(images|plugins)/.+/push)"
)
# /auth is answered with a token; the swarm's description holds the tokens with which others join it.
_HIDES_ANSWER = {("POST", "/auth"), ("GET", "/swarm"), ("GET", "/swarm/unlockkey")}

_SECRET_LINE = re.compile(
    rb"^(" + "|".join(_HEADERS).encode() + rb")[ \t]*:.*?(?=\r\n)", re.IGNORECASE | re.MULTILINE | re.DOTALL
)
_USER_IN_URL = re.compile(r"((?::|%3A)(?:/|%2F){2})(?:(?!%2F)[^/?&])+(@|%40)", re.IGNORECASE)
_BUILD_ARGUMENTS = re.compile(r"(?<=[?&])(buildargs=)[^&]+", re.IGNORECASE)


def mask_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The same headers, in the same order, without the value of one that holds a secret."""
    return {name: MASK if name.lower() in _HEADERS else value for name, value in headers.items()}


def mask_head(lines: bytes) -> bytes:
    """The lines of a head behind its first one, as they were sent, without the values that hold a secret."""
    return _SECRET_LINE.sub(rb"\1: " + MASK.encode(), lines)


def mask_target(target: str) -> str:
    """A path and its query without the user and password of a URL in it, and without the arguments of a build."""
    return _BUILD_ARGUMENTS.sub(rf"\1{MASK}", _USER_IN_URL.sub(rf"\1{MASK}\2", target))


def hides_request(path: str) -> bool:
    """Does the body of a request to this path, without version and query, hold a secret?"""
    return _HIDES_REQUEST.fullmatch(path) is not None


def hides_answer(method: str, path: str) -> bool:
    """Does the body of the answer hold one?"""
    return (method, path) in _HIDES_ANSWER
