"""The installation's own certificate authority, and the TLS contexts of the hosts that it stands in for.

Made once per installation in `<data directory>/ca` (`ca.pem`, `ca.key` with mode 0600, and `names`: what it vouches for). It
is constrained (RFC 5280, 4.2.1.10) to AWS's names and this machine's, so that nobody who trusts it can be shown another
site with it.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import ipaddress
import logging
import os
import shutil
import ssl
import tempfile
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.core import private
from server.listener import hosts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate

log = logging.getLogger("localmaker.proxy")
MOST_CONTEXTS = 1000
CA_DAYS, LEAF_DAYS = 3650, 397  # clients refuse leaves that are valid for longer than 398 days
NAMES = (*hosts.SUFFIXES, "localhost")
NETWORKS = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128")
"""This machine's own, and the private ones (RFC 1918), in which jobs in containers reach it."""
OWN = ("localhost", "*.localhost", "127.0.0.1", "::1")
"""What the certificate of a client that names no host (it connects to an address) holds."""


def certificate_file(data_dir: Path) -> Path:
    """Where an installation's CA certificate lies, once `ensure` has made it."""
    return data_dir / "ca" / "ca.pem"


def ensure(data_dir: Path) -> Path:
    """Make the CA unless it is there; return the path of its certificate. Several processes may do so at once.

    One of an older version, which may not vouch for all of AWS's names, is made anew; not while another process serves
    the directory, which goes on with the one that it has.
    """
    path = certificate_file(data_dir)
    if _vouches_for_all(path) or (path.exists() and _is_served_by_another(data_dir)):
        return path
    private.directory(data_dir)
    with _locked(data_dir):
        if not _vouches_for_all(path):  # else another process was first
            _replace(path.parent)
    return path


def _vouches_for_all(path: Path) -> bool:
    try:
        named = path.with_name("names").read_text(encoding="ascii").split()
    except FileNotFoundError:
        return False
    return path.exists() and set(NAMES) <= set(named)


def _is_served_by_another(data_dir: Path) -> bool:
    """Return whether another process holds the data directory's lock (`backends/core/lease.py`)."""
    try:
        file = (data_dir / "lock").open(encoding="ascii", errors="replace")
    except OSError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return file.read().strip() != f"pid {os.getpid()}"
    return False


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(folder: Path) -> None:
    """Make a CA and put it where another may be."""
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".ca-"))
    old = made.with_name(f"{made.name}-old")
    try:
        _make(made)
        made.chmod(0o755)
        if folder.exists():
            log.warning(
                "The CA in %s does not vouch for all of AWS's names and is made anew: whoever trusts it must trust the new "
                "one; `localmaker env` hands it to shells.",
                folder,
            )
            folder.rename(old)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _make(folder: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"LocalMaker {os.urandom(4).hex()}")])
    usage = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "encipher_only", "decipher_only"), False,
    )  # fmt: skip
    allowed: list[x509.GeneralName] = [x509.DNSName(entry) for entry in NAMES]
    allowed += [x509.IPAddress(ipaddress.ip_network(entry)) for entry in NETWORKS]
    built = (
        _builder(name, name, key.public_key(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=allowed, excluded_subtrees=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    _write(folder / "ca.key", _pem(key), 0o600)
    _write(folder / "ca.pem", _pem_certificate(built.sign(key, hashes.SHA256())), 0o644)
    _write(folder / "names", "\n".join(NAMES).encode("ascii"), 0o644)


def _builder(subject: Any, issuer: Any, public_key: Any, days: int) -> Any:
    from cryptography import x509

    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))  # a client's clock may be behind
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _pem_certificate(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


class Authority:
    """TLS contexts of one installation, made when a client first asks for a host and kept while the server runs."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._contexts: dict[str, ssl.SSLContext] = {}

    def context(self, address: str) -> ssl.SSLContext:
        """Return the context that a handshake on one of this machine's addresses begins with.

        A host that the client names then chooses its own; a client that connects to an address names none.
        """
        base = self._context_of(f"at {address}", (*OWN, address) if address not in OWN else OWN)
        base.sni_callback = self._choose
        return base

    def _choose(self, connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
        """Take the named host's context; refuse a host that is neither AWS's nor this machine's."""
        if name is None or hosts.is_loopback(name):
            return None
        if hosts.aws_host(name) is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = self._context_of(name.lower(), (name.lower(),))
        return None

    def _context_of(self, name: str, holds: tuple[str, ...]) -> ssl.SSLContext:
        context = self._contexts.get(name)
        if context is None:
            if len(self._contexts) >= MOST_CONTEXTS:  # somebody makes names up
                self._contexts.clear()
            context = self._contexts[name] = self._make_context(holds)
        return context

    def _make_context(self, names: tuple[str, ...]) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        # The library reads keys from files only.
        with tempfile.NamedTemporaryFile(dir=ensure(self._data_dir).parent, prefix=".leaf-") as file:
            file.write(_pem(self._key) + self._leaf(names))
            file.flush()
            context.load_cert_chain(file.name)
        return context

    @cached_property
    def _key(self) -> EllipticCurvePrivateKey:
        from cryptography.hazmat.primitives.asymmetric import ec

        return ec.generate_private_key(ec.SECP256R1())

    @cached_property
    def _issuer(self) -> tuple[Certificate, Any]:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization

        path = ensure(self._data_dir)
        key = serialization.load_pem_private_key(path.with_name("ca.key").read_bytes(), None)
        return x509.load_pem_x509_certificate(path.read_bytes()), key

    def _leaf(self, names: tuple[str, ...]) -> bytes:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        certificate, key = self._issuer
        holds = x509.SubjectAlternativeName([_general_name(name) for name in names])
        known = x509.AuthorityKeyIdentifier.from_issuer_public_key(certificate.public_key())  # type: ignore[arg-type]
        built = (
            _builder(x509.Name([]), certificate.subject, self._key.public_key(), LEAF_DAYS)
            .add_extension(holds, critical=True)  # there is no subject beside it
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(known, critical=False)
        )
        return _pem_certificate(built.sign(key, hashes.SHA256()))


def _general_name(name: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
