"""How does TLS lie between HTTP and the socket?

Bytes in, bytes out: what is to be sent comes out encrypted, what was received comes out in the clear (RFC 8446).
Nothing here touches a socket. Both sides show a certificate: the engine's must hold the name by which it was
called, ours is checked against the authority that the engine was started with (`dockerd --tlsverify`).
"""

import ssl
from pathlib import Path
from threading import Lock

from labkit.errors import EngineProtocolError, EngineUnreachable

__all__ = ["Tls", "read_context"]

RECORD_TYPES = range(20, 25)  # what the first byte of a TLS record can be


def read_context(folder: str | Path) -> ssl.SSLContext:
    """Read ca.pem, and cert.pem with key.pem if they are there, as `docker --tlsverify` keeps them.

    Raises EngineUnreachable for files that cannot be read or are none.
    """
    folder = Path(folder)
    try:
        context = ssl.create_default_context(cafile=folder / "ca.pem")
        # From 3.13 on Python wants extensions in an authority's certificate that docker's own recipe leaves out.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if (folder / "cert.pem").exists():
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    except OSError as error:  # SSLError is one
        words = getattr(error, "reason", None) or error.strerror or error
        raise EngineUnreachable(
            f"the certificates in {folder}: {words}: DOCKER_CERT_PATH has to name a folder "
            "with ca.pem, cert.pem and key.pem"
        ) from error
    return context


class Tls:
    """The client's side of one connection to the engine `host`; `name` is for error messages.

    Another thread may decrypt while one encrypts. Raises EngineUnreachable where the two sides do not trust each
    other, EngineProtocolError where the other side does not speak TLS.
    """

    def __init__(self, context: ssl.SSLContext, host: str, name: str) -> None:
        self.has_ended = False  # the engine said that nothing more will come
        self._name = name
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._in, self._out, server_hostname=host)
        self._lock = Lock()  # OpenSSL's object is for one thread at a time
        self._is_first = True

    def shake(self, received: bytes) -> bool:
        """Take a step of the handshake; True when it is over. Send what is `outgoing` after each."""
        if received and self._is_first and received[0] not in RECORD_TYPES:
            raise EngineProtocolError(
                f"{self._name}: {received[:40]!r} is not TLS: does the engine listen in the clear there? "
                "Then write http://, or unset DOCKER_TLS_VERIFY"
            )
        self._is_first = self._is_first and not received
        self._in.write(received)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise self._explain(error) from error
        return True

    def outgoing(self) -> bytes:
        """Take what has to be sent."""
        return self._out.read()

    def encrypt(self, data: bytes) -> bytes:
        """Turn `data` into what has to be sent."""
        with self._lock:
            try:
                if data:
                    self._object.write(data)
            except ssl.SSLError as error:  # after close_write()
                raise self._explain(error) from error
            return self._out.read()

    def decrypt(self, received: bytes) -> bytes:
        """Turn what was received into data, as far as it is complete."""
        with self._lock:
            self._in.write(received)
            found = []
            try:
                while data := self._object.read(65536):
                    found.append(data)
                self.has_ended = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLZeroReturnError:
                self.has_ended = True
            except ssl.SSLError as error:
                raise self._explain(error) from error
            return b"".join(found)

    def close_write(self) -> bytes:
        """Give what tells the engine that nothing more will come (close_notify); it may go on sending."""
        with self._lock:
            try:
                self._object.unwrap()
            except ssl.SSLWantReadError:
                pass  # it waits for the engine's own close_notify, which comes when it comes
            except ssl.SSLError as error:
                raise self._explain(error) from error
            return self._out.read()

    def _explain(self, error: ssl.SSLError) -> EngineUnreachable | EngineProtocolError:
        if isinstance(error, ssl.SSLCertVerificationError):
            return EngineUnreachable(
                f"{self._name}: the engine's certificate: {error.verify_message}: call it by a name in its "
                "certificate, and have in ca.pem the authority that signed it"
            )
        reason = error.reason or str(error)
        if "ALERT" in reason:  # what the engine says of us
            return EngineUnreachable(
                f"{self._name}: the engine refuses: {reason}: it wants a client's certificate, cert.pem and key.pem "
                "in DOCKER_CERT_PATH, signed by the authority that it was started with"
            )
        return EngineProtocolError(f"{self._name}: broken TLS: {reason}: does an engine listen there?")
