"""How do the bytes of an exchange come and go, and what if they do not?

A connection is a socket, the bytes received and not yet used, and the time by which the exchange must be over.
What is sent and read through it is HTTP/1.1 (RFC 9112), in the clear or under TLS; after a change of protocol
it is whatever the two sides agreed upon. Every length is checked before it is believed.
"""

import math
import re
import select
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from struct import pack
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from labkit.api.http import (
    MAX_HEAD_BYTES,
    MAX_LINE_BYTES,
    Address,
    Answer,
    build_chunk,
    parse_chunk_size,
    parse_head,
    parse_length,
)
from labkit.errors import EngineError, EngineProtocolError, EngineTimeout, EngineUnreachable

if TYPE_CHECKING:
    from ssl import SSLContext

    from labkit.api.tls import Tls

__all__ = ["Connection"]

NAP_S = 5  # how long a call of recv() sleeps before it looks at the clock
MAX_WAIT_MS = 1 << 30  # twelve days; poll(2) takes an int
_START = b"HTTP/"
_REFUSAL = re.compile(rb"HTTP/1\.[01] [45]")
_PLAIN_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,7})\r\n")


T = TypeVar("T")


class Connection:
    """One connection to an engine, for one exchange at a time.

    `deadline` is a time of the monotonic clock, in seconds; with `context` the bytes go under TLS. Raises
    EngineUnreachable if nobody listens, or TLS finds no trust, and EngineTimeout if nobody accepts in time. Every
    method that waits raises EngineTimeout when the time is over, and EngineProtocolError for bytes that HTTP does
    not allow.

    One thread may read while another pushes.
    """

    def __init__(self, address: Address, deadline: float, context: "SSLContext | None" = None) -> None:
        self.reusable = False  # until an answer's end was found
        self.received = 0
        self._buffer = bytearray()
        self._tls: Tls | None = None
        self._socket = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(max(deadline - monotonic(), 0.001))
            self._socket.connect(address.place)
        except (OSError, UnicodeError) as error:  # UnicodeError: a host name that DNS cannot hold
            self._socket.close()
            raise _unreachable(address, error) from error
        # From here on the kernel bounds each wait, not Python, which would ask poll(2) before every call.
        self._socket.setblocking(True)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, pack("ll", NAP_S, 0))
        if context is not None:
            self._shake_hands(address, deadline, context)

    def begin(self, subject: object, began: float, deadline: float | None, idle_s: float | None = None) -> None:
        """Name the exchange that follows, for error messages, and say when to give up.

        `deadline` ends the whole exchange (None: never); without one, `idle_s` is the longest silence allowed.
        `began` is the time now, by the monotonic clock.
        """
        self._subject, self._began, self._deadline, self._idle_s = subject, began, deadline, idle_s
        self._has_waited, self._all_sent = False, True
        self.received = 0

    def send(self, raw: bytes) -> bool:
        """Send all of `raw`, while the engine takes it.

        False if it has closed the connection, or refused already: its answer, or the lack of one, says why.
        """
        left = memoryview(self._tls.encrypt(raw) if self._tls else raw)
        while left:
            sent = self._send_some(left)
            if sent is None or not (sent or self._can_send_more()):
                self._all_sent = False
                break
            left = left[sent:]
        return self._all_sent

    def send_chunks(self, pieces: Iterable[bytes], kept_bytes: int) -> bytes:
        """Send a body of unknown length, until it ends or the engine refuses it; returns its first `kept_bytes`."""
        kept = bytearray()
        for piece in pieces:
            kept += piece[: kept_bytes - len(kept)]
            if piece and not self.send(build_chunk(piece)):  # an empty chunk would be the last
                return bytes(kept)
        self.send(build_chunk(b""))
        return bytes(kept)

    def push(self, raw: bytes, patience_s: float) -> None:
        """Send all of `raw` on a connection that has changed its protocol; another thread may read meanwhile.

        Raises EngineTimeout if the engine takes nothing for `patience_s`, EngineProtocolError if it has closed.
        """
        self._push(self._tls.encrypt(raw) if self._tls else raw, patience_s)

    def close_write(self, patience_s: float) -> None:
        """Tell the engine that nothing more will be sent; what it still sends can be read."""
        if self._tls:
            self._push(self._tls.close_write(), patience_s)
        else:
            with suppress(OSError):  # the engine was first to close
                self._socket.shutdown(socket.SHUT_WR)

    def read_head(self, *, upgrade: bool = False) -> Answer:
        """Read up to the body of the final answer; the 1xx answers before it are passed over.

        With `upgrade`, 101 is a final answer too: what follows its head is no longer HTTP.
        """
        while True:
            while len(self._buffer) < len(_START):
                if not self._receive():
                    raise self._cut("before the end of the head")
            if not self._buffer.startswith(_START):  # at once: the end of such a head may never come
                start = bytes(self._buffer[:80])
                raise EngineProtocolError(f"{self._subject}: {start!r} is not HTTP: does an engine listen there?")
            answer = parse_head(self._read_until(b"\r\n\r\n", MAX_HEAD_BYTES, "head"))
            if answer.status == 101 and not upgrade:
                raise EngineProtocolError(f"{self._subject}: the engine changed protocol without being asked")
            if answer.status >= 200 or answer.status == 101:
                return answer

    def read_body(self, method: str, answer: Answer, limit: int = sys.maxsize) -> Iterator[bytes]:
        """Hand out the body, at most `limit` bytes, and find out whether the connection can be used again."""
        headers = answer.headers
        self.reusable = False
        can_stay = self._all_sent and "close" not in headers.get("connection", "").lower()
        if method == "HEAD" and not can_stay:
            self._buffer.clear()  # where it expects TLS, Go refuses plain HTTP with a body, even to HEAD
        elif method == "HEAD" or answer.status in (204, 304):
            pass  # these have no body, whatever their headers announce
        elif "transfer-encoding" in headers:
            yield from self._read_chunks(headers["transfer-encoding"], limit)
        elif "content-length" in headers:
            yield from self._read_exactly(self._length(headers["content-length"], limit))
        else:
            can_stay = False
            yield from self.read_to_close(limit)
        if self._buffer:
            raise EngineProtocolError(f"{self._subject}: {len(self._buffer)} bytes came after the answer's end")
        self.reusable = can_stay

    def read_to_close(self, limit: int = sys.maxsize) -> Iterator[bytes]:
        """Hand out what comes until the engine closes, at most `limit` bytes."""
        total = 0
        while self.has_more():
            total += len(self._buffer)
            self._check_size(total, limit)
            yield self._take(len(self._buffer))

    def has_more(self) -> bool:
        """Wait until there is a byte to be read; False if the engine has closed instead."""
        return bool(self._buffer) or self._receive()

    def read_some(self, count: int) -> bytes:
        """Read at least one byte and at most `count`; raises EngineProtocolError if the engine has closed."""
        if not self.has_more():
            raise self._cut(f"with {count} bytes missing")
        return self._take(count)

    def is_quiet(self) -> bool:
        """True if the idle connection is open and nothing came on it; end of file makes it readable too."""
        try:
            self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def wake(self) -> None:
        """End the wait of other threads: who reads here sees the end of the stream."""
        with suppress(OSError):  # the engine was first to close
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket, also for a thread that still waits to send; a second time does nothing."""
        self.wake()
        self._socket.close()

    def _shake_hands(self, address: Address, deadline: float, context: "SSLContext") -> None:
        from labkit.api.tls import Tls

        self.begin(f"TLS with {address.name}", monotonic(), deadline)
        tls = Tls(context, address.host, address.name)
        came = b""
        try:
            while not self._shake(tls, came):
                if not self.has_more():
                    raise self._cut("during the handshake")
                came = self._take(len(self._buffer))
        except BaseException:
            self.close()
            raise
        self._buffer += tls.decrypt(b"")
        self._tls = tls

    def _shake(self, tls: "Tls", came: bytes) -> bool:
        try:
            return tls.shake(came)
        finally:  # where it failed, the engine is told why
            self.send(tls.outgoing())

    def _push(self, raw: bytes, patience_s: float) -> None:
        left = memoryview(raw)
        while left:
            sent = self._send_some(left)
            if sent is None:
                raise self._cut("before all was sent")
            if not sent and not self._poll(select.POLLOUT, patience_s):
                raise EngineTimeout(f"{self._subject}: nothing was taken for {patience_s} s: does the process read?")
            left = left[sent:]

    def _send_some(self, left: memoryview) -> int | None:
        """Send what the socket takes now, perhaps nothing; None if the engine has closed."""
        try:
            return self._socket.send(left, socket.MSG_DONTWAIT)
        except BlockingIOError:  # the engine reads more slowly than we write
            return 0
        except (BrokenPipeError, ConnectionResetError):
            return None  # noticed by reading, not here: an engine may refuse a body half-way
        except OSError as error:
            raise self._lost(error) from error

    def _can_send_more(self) -> bool:
        """Wait until there is room; take in what comes meanwhile, as an engine may wait for that. False: it refuses."""
        event = select.POLLOUT | (select.POLLIN if len(self._buffer) < MAX_HEAD_BYTES else 0)
        happened = self._wait(event, self._remaining_s())
        if happened & select.POLLIN and not self._receive_now(socket.MSG_DONTWAIT):
            return False
        return not _REFUSAL.match(self._buffer)

    def _length(self, text: str, limit: int) -> int:
        length = self._named(parse_length, text)
        self._check_size(length, limit)
        return length

    def _named(self, parse: Callable[[T], int], text: T) -> int:
        """Read a number; where it is none, say in which exchange."""
        try:
            return parse(text)
        except EngineProtocolError as error:
            raise EngineProtocolError(f"{self._subject}: {error}") from None

    def _check_size(self, size_bytes: int, limit: int) -> None:
        if size_bytes > limit:
            raise EngineProtocolError(
                f"{self._subject}: a body of {size_bytes} bytes is over the limit of {limit}: "
                "use stream(), or Engine(max_body_bytes=...)"
            )

    def _read_exactly(self, count: int) -> Iterator[bytes]:
        left = count
        while left:
            if not self.has_more():
                raise self._cut(f"with {left} of {count} bytes missing")
            piece = self._take(left)
            left -= len(piece)
            yield piece

    def _take(self, count: int) -> bytes:
        """Take at most `count` bytes from the buffer."""
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]  # costs nothing: a bytearray remembers where it starts
        return taken

    def _read_chunks(self, coding: str, limit: int) -> Iterator[bytes]:
        if coding.lower() != "chunked":
            raise EngineProtocolError(f"{self._subject}: Transfer-Encoding {coding[:80]!r} is not chunked")
        total = 0
        while True:
            if whole := self._whole_chunks():
                total += len(whole)
                self._check_size(total, limit)
                yield whole
            size = self._chunk_size()
            if not size:
                return self._skip_trailer()
            total += size
            self._check_size(total, limit)
            yield from self._read_exactly(size)
            if b"".join(self._read_exactly(2)) != b"\r\n":
                raise EngineProtocolError(f"{self._subject}: a chunk is longer than announced")

    def _whole_chunks(self) -> bytes:
        """Take the chunks that have come whole, joined; what is not whole, or not plain, is left to be looked at."""
        buffer, found, start = self._buffer, [], 0
        while chunk := _PLAIN_CHUNK.match(buffer, start):
            begin = chunk.end()
            end = begin + int(chunk[1], 16)
            if begin == end or buffer[end : end + 2] != b"\r\n":
                break
            found.append(buffer[begin:end])
            start = end + 2
        del buffer[:start]
        return b"".join(found)

    def _chunk_size(self) -> int:
        return self._named(parse_chunk_size, self._read_until(b"\r\n", MAX_LINE_BYTES, "chunk size")[:-2])

    def _skip_trailer(self) -> None:
        trailer_bytes = 0
        while (line := self._read_until(b"\r\n", MAX_LINE_BYTES, "trailer")) != b"\r\n":
            trailer_bytes += len(line)
            if trailer_bytes > MAX_HEAD_BYTES:
                raise EngineProtocolError(f"{self._subject}: the trailer is over {MAX_HEAD_BYTES} bytes")

    def _read_until(self, mark: bytes, limit: int, what: str) -> bytes:
        searched = 0
        while (end := self._buffer.find(mark, searched)) < 0 and len(self._buffer) < limit:
            searched = max(len(self._buffer) - len(mark) + 1, 0)
            if not self._receive():
                raise self._cut(f"before the end of the {what}")
        end += len(mark)
        if end < len(mark) or end > limit:
            raise EngineProtocolError(f"{self._subject}: the {what} does not end within {limit} bytes")
        return self._take(end)

    def _receive(self) -> bool:
        """Add what comes next to the buffer; False when the engine has closed the connection."""
        length = len(self._buffer)
        while len(self._buffer) == length:  # woken for nothing, or for what TLS says to itself
            if self._tls and self._tls.has_ended:
                return False
            remaining_s = self._remaining_s()
            may_nap = self._idle_s is None and (remaining_s is None or remaining_s > NAP_S)
            if not may_nap:
                self._wait(select.POLLIN, remaining_s)
            if not self._receive_now(0 if may_nap else socket.MSG_DONTWAIT):
                return False
        return True

    def _receive_now(self, flags: int) -> bool:
        """Add what is there to the buffer, perhaps nothing; False when the engine has closed the connection."""
        try:
            data = self._socket.recv(65536, flags)
        except BlockingIOError:  # woken for nothing
            return True
        except ConnectionResetError:
            data = b""
        except OSError as error:
            raise self._lost(error) from error
        self.received += len(data)
        if data and self._tls:
            self._buffer += self._tls.decrypt(data)
        elif self._tls and not self._tls.has_ended:
            raise self._cut("without the end that TLS promises")
        else:
            self._buffer += data
        return bool(data)

    def _wait(self, event: int, remaining_s: float | None) -> int:
        """Wait until the socket is ready for `event`, or at its end; raises EngineTimeout."""
        happened = self._poll(event, remaining_s)
        if not happened:
            raise self._timeout()
        return happened

    def _poll(self, event: int, within_s: float | None) -> int:
        """Wait as `_wait` does; 0 when the time is over."""
        poll = select.poll()  # one for each thread
        poll.register(self._socket, event)
        within_ms = None if within_s is None else min(math.ceil(within_s * 1000), MAX_WAIT_MS)
        return sum(happened for _, happened in poll.poll(within_ms))

    def _remaining_s(self) -> float | None:
        if self._deadline is None:
            return self._idle_s
        # In a user-mode kernel a look at the clock is a system call: the first wait counts from the beginning.
        remaining = self._deadline - (monotonic() if self._has_waited else self._began)
        self._has_waited = True
        if remaining <= 0:
            raise self._timeout()
        return remaining

    def _timeout(self) -> EngineTimeout:
        if self._deadline is None:
            return EngineTimeout(
                f"{self._subject}: nothing came for {self._idle_s} s: pass a larger idle_s to wait longer"
            )
        waited = monotonic() - self._began
        return EngineTimeout(
            f"{self._subject}: no complete answer after {waited:.1f} s, {self.received} bytes received: "
            "the engine is busy or stuck; try again, or pass a larger timeout_s"
        )

    def _cut(self, where: str) -> EngineProtocolError:
        return EngineProtocolError(
            f"{self._subject}: the engine closed the connection {where}: did it stop? Its own log says why"
        )

    def _lost(self, error: OSError) -> EngineUnreachable:
        return EngineUnreachable(f"{self._subject}: {error.strerror or error}: the way to the engine is gone")


def _unreachable(address: Address, error: OSError | UnicodeError) -> EngineError:
    place = address.place if isinstance(address.place, str) else address.name
    if isinstance(error, TimeoutError):
        return EngineTimeout(f"{place}: no connection in time: is the engine's machine up?")
    if isinstance(error, BlockingIOError):
        return EngineTimeout(f"{place}: too many connections wait already: is the engine stuck? Try again")
    if isinstance(error, PermissionError):
        return EngineUnreachable(f"{place}: {error.strerror}: become root, or join the group that owns it")
    words = getattr(error, "strerror", None) or str(error)
    return EngineUnreachable(
        f"{place}: {words}: is dockerd running? lesson.revive() starts it again in a lesson; "
        "elsewhere start it, or name another engine in DOCKER_HOST"
    )
