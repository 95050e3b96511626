"""What does a docker command say to the engine?

    with tap() as said:
        sh("docker run --rm busybox true")
    said.find("POST", "/containers/create").request.body

A tap is a second socket, beside the engine's. Who is told that the engine listens there (DOCKER_HOST) connects to it.
For each connection that comes, the tap opens one of its own to the engine, and from then on it carries bytes: what the
client says goes up, what the engine says goes down, as they are. That is all that either can notice, so:

- Nothing is held back. Bytes are passed on first; a copy goes to the record, which may understand it or not.
- Nothing is hoarded. A direction is read only when its last bytes were taken, so a slow reader slows the writer.
- An end is an end. "I have said all" (shutdown(2), which Ctrl-D at `docker run -i` becomes) is passed on, and the
  other direction goes on; who closes both ways, or breaks the connection, ends both.

One thread serves all connections, since only then is the record in order: no answer is heard before its question.
The socket lies in a directory that only its owner may enter. TLS is not spoken here.
"""

import errno
import os
import select
import shutil
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector, DefaultSelector
from tempfile import mkdtemp
from time import monotonic

from labkit.api.conversation import Conversation
from labkit.api.http import DEFAULT_HOST, Address, parse_host
from labkit.api.record import Direction, Record, RecordedExchange, find_exchange
from labkit.errors import EngineUnreachable

__all__ = ["RecordedExchange", "Tap", "tap"]

READ_BYTES = 128 * 1024
MAX_LINKS = 256  # connections at a time; who comes later waits in the listener's queue
CONNECT_S = 2.0  # for an engine on tcp; a unix socket answers at once
PAUSE_S = 0.02  # before the next try, where nothing could be accepted or the engine's queue was full
QUIET_S = 0.5  # to pass on what was said before one looks at the record, or closes the tap
NAMES = {"up": "the client", "down": "the engine"}


@contextmanager
def tap(host: str | None = None) -> Iterator["Tap"]:
    """Have every client that is started in the block, and looks at DOCKER_HOST, speak through a tap.

    `host` is the engine, unix:///path or tcp://host:port (default: DOCKER_HOST, or Docker's own socket). After
    the block, however it ends, DOCKER_HOST is what it was, and the tap is closed; its record stays.

    Raises EngineUnreachable for a host that cannot be one, and where the tap's own socket cannot be made; an engine
    that does not answer is the clients' business.
    """
    before = os.environ.get("DOCKER_HOST")
    with Tap(host) as said:
        os.environ["DOCKER_HOST"] = said.host
        try:
            yield said
        finally:
            if before is None:
                os.environ.pop("DOCKER_HOST", None)
            else:
                os.environ["DOCKER_HOST"] = before


class Tap:
    """A socket that leads to the engine, and a record of what passes; `host` is its address, as DOCKER_HOST takes it.

    `opened_s` is when its record began, in seconds of the monotonic clock: the times of its exchanges count from there.

    `close` ends every connection. The record outlives it. Raises EngineUnreachable as `tap` does.
    """

    def __init__(self, host: str | None = None) -> None:
        self._engine = resolve(parse_host(host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST))
        self._folder = mkdtemp(prefix="labkit-tap-")  # mode 0700
        place = f"{self._folder}/docker.sock"
        self.host = f"unix://{place}"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._wake_fd: int | None = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)  # wakes the thread
        self._selector = DefaultSelector()
        self.opened_s = monotonic()
        self._record = Record()
        self._links: set[_Link] = set()
        self._calls: set[_Call] = set()
        self._accept_again_s: float | None = None  # when, where nothing could be accepted
        self._number = 0
        self._waiters: deque[threading.Event] = deque()  # who waits until all that was said is passed on
        self._lock = threading.Lock()  # of the record
        self._ringing = threading.Lock()  # once the bell is closed, its number is another file's
        self._over = False
        self._thread = threading.Thread(target=self._serve, name="tap", daemon=True)
        try:
            self._listener.bind(place)
            self._listener.listen(MAX_LINKS)
            self._thread.start()
        except OSError as error:
            self._release()
            raise EngineUnreachable(f"{place}: {error}: name a directory with a shorter path in TMPDIR") from error

    @property
    def exchanges(self) -> list[RecordedExchange]:
        """What was heard, in the order in which the requests came; see `labkit.api.record.RecordedExchange`.

        Everything that was said before is in it, but for somebody who talks without a pause: it waits 0.5 s at most.
        """
        self._settle()
        with self._lock:
            return self._record.exchanges

    def find(self, method: str, path: str) -> RecordedExchange:
        """The first exchange of that kind, as ("POST", "/exec/*/start"); see `labkit.api.record.find_exchange`.

        Raises NotHeard.
        """
        return find_exchange(self.exchanges, method, path)

    @property
    def changes(self) -> int:
        """A number that grows with everything that is heard; asking for it costs nothing."""
        return self._record.changes

    @property
    def forgotten(self) -> int:
        """How many exchanges were dropped, since only the latest 500 are kept."""
        return self._record.forgotten

    def clear(self) -> None:
        """Forget what was heard until now."""
        self._settle()
        with self._lock:
            self._record.clear()

    def close(self) -> None:
        """Pass on what was said already, end every connection, and remove the socket; a second time does nothing."""
        if self._over:
            return
        try:
            self._settle()
        finally:
            self._over = True
            self._wake()
            self._thread.join()
            self._release()

    def __enter__(self) -> "Tap":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Tap({self.host!r})"

    def _wake(self) -> None:
        with self._ringing:
            if self._wake_fd is not None:
                os.eventfd_write(self._wake_fd, 1)

    def _release(self) -> None:
        with self._ringing:
            bell, self._wake_fd = self._wake_fd, None
        if bell is None:  # another thread does it
            return
        self._selector.close()
        self._listener.close()
        os.close(bell)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _settle(self) -> None:
        """Wait until nothing is left to pass on, but not for somebody who talks without a pause."""
        if self._over:
            return
        asker = threading.Event()
        self._waiters.append(asker)
        self._wake()
        asker.wait(QUIET_S)
        self._waiters.remove(asker)

    def _serve(self) -> None:
        bell = self._wake_fd
        assert bell is not None
        self._selector.register(bell, EVENT_READ, lambda _: os.eventfd_read(bell))
        self._listener.setblocking(False)
        self._listen(True)
        try:
            while not self._over:
                self._serve_once([asker for asker in tuple(self._waiters) if not asker.is_set()])
        finally:
            with self._lock:
                for call in tuple(self._calls):
                    self._give_up(call, "the tap closed first")
                for link in tuple(self._links):
                    link.close("the tap closed first", cut=True)

    def _serve_once(self, askers: list[threading.Event]) -> None:
        """Do what can be done now; if there is nothing, say so to those who ask for it, or else wait."""
        ready = self._selector.select(0 if askers else self._next_s())
        for key, events in ready:
            with self._lock:
                key.data(events)
        with self._lock:
            self._look_at_clock()
        if not ready:
            for asker in askers:
                asker.set()

    def _listen(self, wanted: bool) -> None:
        watch(self._selector, self._listener, EVENT_READ if wanted else 0, self._accept)

    def _accept(self, _: int) -> None:
        try:
            client, engine = self._accept_both()
        except OSError:  # the client is gone again, or no descriptor is free: then not at once again
            self._accept_again_s = self._clock() + PAUSE_S
            self._listen(False)
            return
        self._number += 1
        talk = Conversation(self._record, self._number)
        engine.setblocking(False)
        call = _Call(client, engine, talk, self._clock() + CONNECT_S)
        self._calls.add(call)
        self._listen(self._has_room())
        self._connect(call)

    def _accept_both(self) -> tuple[socket.socket, socket.socket]:
        """The next client, and a socket for its engine. The socket comes first: without it, the client is to wait."""
        engine = socket.socket(self._engine.family, socket.SOCK_STREAM)
        try:
            client, _address = self._listener.accept()
        except OSError:
            engine.close()
            raise
        return client, engine

    def _connect(self, call: "_Call") -> None:
        """Call the engine, and do not wait for it: connect(2), on sockets that do not block."""
        call.again_s = None
        refusal = call.engine.connect_ex(self._engine.place)
        if refusal == errno.EAGAIN:  # the queue of a unix socket is full
            call.again_s = self._clock() + PAUSE_S
        elif refusal == errno.EINPROGRESS:
            watch(self._selector, call.engine, EVENT_WRITE, lambda _: self._connected(call))
        elif refusal:
            self._give_up(call, os.strerror(refusal))
        else:
            self._join(call)

    def _connected(self, call: "_Call") -> None:
        watch(self._selector, call.engine, 0)
        if refusal := call.engine.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._give_up(call, os.strerror(refusal))
        else:
            self._join(call)

    def _join(self, call: "_Call") -> None:
        self._calls.discard(call)
        self._links.add(_Link(call.client, call.engine, call.talk, self._selector, self._clock, self._forget))

    def _give_up(self, call: "_Call", why: str) -> None:
        self._calls.discard(call)
        watch(self._selector, call.engine, 0)
        call.engine.close()
        call.client.close()
        call.talk.fail(f"{self._engine.place}: {why}: is dockerd running?", self._clock())
        self._listen(self._has_room())

    def _next_s(self) -> float | None:
        """How long to wait for the first thing that the clock asks for; None: there is nothing."""
        times = [call.deadline_s if call.again_s is None else call.again_s for call in self._calls]
        times += [] if self._accept_again_s is None else [self._accept_again_s]
        return max(min(times) - self._clock(), 0.0) if times else None

    def _look_at_clock(self) -> None:
        if not self._calls and self._accept_again_s is None:
            return
        now_s = self._clock()
        if self._accept_again_s is not None and now_s >= self._accept_again_s:
            self._accept_again_s = None
            self._listen(self._has_room())
        for call in tuple(self._calls):
            if now_s >= call.deadline_s:
                self._give_up(call, f"no connection within {CONNECT_S:.0f} s")
            elif call.again_s is not None and now_s >= call.again_s:
                self._connect(call)

    def _has_room(self) -> bool:
        return not self._over and self._accept_again_s is None and len(self._links) + len(self._calls) < MAX_LINKS

    def _forget(self, link: "_Link") -> None:
        self._links.discard(link)
        self._listen(self._has_room())

    def _clock(self) -> float:
        return monotonic() - self.opened_s


class _Call:
    """A client whose connection to the engine is not there yet; times are the tap's clock, in seconds."""

    def __init__(self, client: socket.socket, engine: socket.socket, talk: Conversation, deadline_s: float) -> None:
        self.client, self.engine, self.talk, self.deadline_s = client, engine, talk, deadline_s
        self.again_s: float | None = None  # when to call again, where the engine's queue was full


class _Link:
    """A client's connection, and the one to the engine that belongs to it: a lane up, and a lane down."""

    def __init__(
        self,
        client: socket.socket,
        engine: socket.socket,
        talk: Conversation,
        selector: BaseSelector,
        clock: Callable[[], float],
        forget: Callable[["_Link"], None],
    ) -> None:
        self._up, self._down = _Lane("up", client, engine), _Lane("down", engine, client)
        self._talk, self._selector, self._clock, self._forget = talk, selector, clock, forget
        self._over = False
        for end in (client, engine):
            end.setblocking(False)
        self._watch()

    def close(self, why: str = "", *, cut: bool = False) -> None:
        """End both connections; `why` if neither side closed its own, `cut` if it was not their will."""
        self._over = True
        for lane in (self._up, self._down):
            watch(self._selector, lane.source, 0)
            lane.source.close()
        self._talk.close(why, cut=cut)
        self._forget(self)

    def _serve(self, end: socket.socket, events: int) -> None:
        if self._over:  # by what came just before, from its other end
            return
        out, back = (self._up, self._down) if end is self._up.source else (self._down, self._up)
        if events & EVENT_WRITE:
            back.write()
        if events & EVENT_READ:
            self._carry(out)
        if not self._over:
            self._watch()

    def _carry(self, lane: "_Lane") -> None:
        try:
            data = lane.carry()
        except BlockingIOError:  # woken for nothing
            return
        except OSError as error:
            return self.close(f"{NAMES[lane.direction]} broke the connection: {error.strerror}")
        if data:
            self._talk.hear(lane.direction, data, self._clock())
        else:
            self._talk.end(lane.direction, self._clock())
            lane.end()
            if is_closed_both_ways(lane.source):
                self.close()

    def _watch(self) -> None:
        if not (self._up.is_open or self._down.is_open):
            return self.close()
        for out, back in ((self._up, self._down), (self._down, self._up)):
            events = (EVENT_READ if out.is_open and not out.pending else 0) | (EVENT_WRITE if back.pending else 0)
            watch(self._selector, out.source, events, partial(self._serve, out.source))


class _Lane:
    """One direction: what was read from `source`, and not yet taken by `target`."""

    def __init__(self, direction: Direction, source: socket.socket, target: socket.socket) -> None:
        self.direction, self.source, self.target = direction, source, target
        self.pending = memoryview(b"")
        self.is_open = True

    def carry(self) -> bytes:
        """Read once, pass on what the target takes, and return what was read: nothing at the source's end."""
        data = self.source.recv(READ_BYTES)
        self.pending = memoryview(data)
        self.write()
        return data

    def write(self) -> None:
        """Pass on what is pending, as far as the target takes it."""
        try:
            while self.pending:
                self.pending = self.pending[self.target.send(self.pending) :]
        except BlockingIOError:
            pass
        except OSError:  # the target listens no more: the source is to learn it as it would have, when it writes
            self.pending = memoryview(b"")
            self._close(self.source, socket.SHUT_RD)

    def end(self) -> None:
        """Pass on that the source has said all."""
        self._close(self.target, socket.SHUT_WR)

    def _close(self, end: socket.socket, how: int) -> None:
        self.is_open = False
        with suppress(OSError):  # it is gone already
            end.shutdown(how)


def resolve(engine: Address) -> Address:
    """Look a name up once, before anybody waits for it; raises EngineUnreachable for one that leads nowhere."""
    if isinstance(engine.place, str):
        return engine
    try:
        family, _kind, _protocol, _name, place = socket.getaddrinfo(*engine.place, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that DNS cannot hold
        words = getattr(error, "strerror", None) or error
        raise EngineUnreachable(f"{engine.name}: {words}: name another engine in DOCKER_HOST") from error
    return engine._replace(family=family, place=(str(place[0]), int(place[1])))


def is_closed_both_ways(end: socket.socket) -> bool:
    """After the end of what the other side says: does it listen no more, too (POLLHUP, poll(2))?"""
    poll = select.poll()
    poll.register(end, 0)
    return bool(poll.poll(0))


def watch(selector: BaseSelector, end: socket.socket, events: int, act: Callable[[int], None] | None = None) -> None:
    """Have `act` called when these events come, and no others; 0: none."""
    known = selector.get_map().get(end)
    if known is None:
        if events:
            selector.register(end, events, act)
    elif not events:
        selector.unregister(end)
    elif known.events != events:
        selector.modify(end, events, act)
