"""Certificates good and bad, made while the tests run, and a client that trusts the authority behind them."""

import datetime
import ipaddress
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.faults.server import HOST

_DAY = datetime.timedelta(days=1)
_CA_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])


class Authority:
    """A certificate authority of one test run; its key never leaves the process."""

    def __init__(self, common: str) -> None:
        self.name = _name(common)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = (
            self._builder(self.name, self.key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_CA_USAGE, critical=True)
            .sign(self.key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        """The authority's own certificate, for clients to trust."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def _builder(
        self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey, age: datetime.timedelta = _DAY
    ) -> x509.CertificateBuilder:
        begin = datetime.datetime.now(datetime.UTC) - age
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + 2 * _DAY)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(issuer, critical=False)
        )

    def server_context(
        self, name: x509.GeneralName, *, age: datetime.timedelta = _DAY, self_signed: bool = False
    ) -> ssl.SSLContext:
        """Return the TLS context of a server with a certificate for `name`, two days long, that began `age` ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        signer = Authority.__new__(Authority) if self_signed else self
        if self_signed:
            signer.name, signer.key = _name("Nobody but itself"), key
        subject = signer.name if self_signed else _name("A server")
        certificate = (
            signer._builder(subject, key.public_key(), age)
            .add_extension(x509.SubjectAlternativeName([name]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(signer.key, hashes.SHA256())
        )
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "server.pem"
            path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
            context.load_cert_chain(path)
        return context


@lru_cache
def authority() -> Authority:
    """Return the authority that `trusting` makes clients trust."""
    return Authority("RapidPro Console's tests")


@lru_cache
def context(certificate: str) -> ssl.SSLContext:
    """Return the TLS context of a server with that certificate: good, or with the one fault that it is named for."""
    address = x509.IPAddress(ipaddress.ip_address(HOST))
    match certificate:
        case "good":
            return authority().server_context(address)
        case "expired":
            return authority().server_context(address, age=9 * _DAY)
        case "not_yet_valid":
            return authority().server_context(address, age=-_DAY)
        case "wrong_name":
            return authority().server_context(x509.DNSName("other.example"))
        case "self_signed":
            return authority().server_context(address, self_signed=True)
        case "unknown_ca":
            return Authority("Who is this").server_context(address)
    raise ValueError(certificate)


@contextmanager
def trusting() -> Iterator[None]:
    """Let every TLS client of this process trust the authority, whoever made its context.

    Done where the standard library starts a handshake, so that it holds for any client. A context that was used keeps
    the trust, which is harmless: nobody else ever gets a certificate of this authority.
    """
    wrap_bio: Any = ssl.SSLContext.wrap_bio

    def wrap(self: ssl.SSLContext, *args: Any, **options: Any) -> ssl.SSLObject:
        if not options.get("server_side"):
            self.load_verify_locations(cadata=authority().pem)
        wrapped: ssl.SSLObject = wrap_bio(self, *args, **options)
        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl.SSLContext, "wrap_bio", wrap)
        yield
