"""Which certificates does `dockerd --tlsverify` need? Made by openssl, for one lesson or test."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

EXTENSIONS = """
[server]
subjectAltName={names}
extendedKeyUsage=serverAuth
[client]
extendedKeyUsage=clientAuth
"""


def make_certificates(folder: Path, addresses: Sequence[str] = ("127.0.0.1",)) -> None:
    """Make ca.pem with ca.key; server.pem with server.key, for these addresses; cert.pem with key.pem, for a client.

    The folder `stranger` is that of a client without a certificate of its own. Like docker's own recipe, this one
    gives the authority's certificate no key usage.
    """
    names = ",".join([*(f"IP:{address}" for address in addresses), "DNS:localhost"])
    (folder / "extensions").write_text(EXTENSIONS.format(names=names))
    openssl(folder, *NEW, "-x509", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
    (folder / "stranger").mkdir()
    shutil.copy(folder / "ca.pem", folder / "stranger")
    for who, key, certificate in (("server", "server.key", "server.pem"), ("client", "key.pem", "cert.pem")):
        openssl(folder, *NEW, "-subj", f"/CN={who}", "-keyout", key, "-out", "request")
        signed_by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
        said = ["-extfile", "extensions", "-extensions", who]
        openssl(folder, "x509", "-req", "-in", "request", *signed_by, *said, "-out", certificate)


NEW = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
