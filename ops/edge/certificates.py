"""A throw-away certificate authority, and one certificate for each Region.

Made on the machine, kept in one folder, valid for a few days, and made anew when they near their
end or when a Region's names changed. A renewed authority renews every certificate.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ops.edge.config import Region
from ops.edge.files import write_atomically

VALID_FOR = timedelta(days=5)
RENEWED_BEFORE_END = timedelta(days=1)
_CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, as PEM files.

    Attributes:
        certificate: The certificate; for the authority, what a client trusts.
        key: The private key, readable by this user only.
    """

    certificate: Path
    key: Path


@dataclass(frozen=True)
class _Issued:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def authority_file(folder: Path) -> Path:
    """The certificate that clients trust to reach the edges.

    Args:
        folder: The folder of the certificates.
    """
    return folder / "ca.pem"


def prepare(
    folder: Path, regions: Iterable[Region], *, now: datetime | None = None
) -> dict[str, KeyPair]:
    """Makes what is missing or out of date, and keeps what is good.

    Args:
        folder: Where the files stand or come to stand: `ca.pem`, `ca.key`, `{region}.pem`,
            `{region}.key`.
        regions: The Regions; each certificate carries all of a Region's names.
        now: The present; the clock's by default.

    Returns:
        `{region: its certificate and key}`.
    """
    now = now or datetime.now(UTC)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = KeyPair(authority_file(folder), folder / "ca.key")
    authority = _load(files)
    if authority is None or not _is_current(authority.certificate, now):
        authority = _new_authority(now)
        _save(files, authority)
    return {region.name: _region_files(folder, region, authority, now) for region in regions}


def server_context(files: KeyPair) -> ssl.SSLContext:
    """The TLS settings of one Region.

    Args:
        files: The Region's certificate and key.

    Returns:
        A context that refuses a handshake without a server name, as API Gateway does: a client or
        health check that forgets SNI shall fail here as well.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(files.certificate, files.key)
    context.sni_callback = _require_server_name
    return context


def _require_server_name(
    _tls: ssl.SSLObject, server_name: str | None, _context: ssl.SSLContext
) -> int | None:
    return None if server_name else ssl.AlertDescription.ALERT_DESCRIPTION_HANDSHAKE_FAILURE


def _region_files(folder: Path, region: Region, authority: _Issued, now: datetime) -> KeyPair:
    files = KeyPair(folder / f"{region.name}.pem", folder / f"{region.name}.key")
    known = _load(files)
    if (
        known is None
        or not _is_current(known.certificate, now)
        or not _is_issued_by(known.certificate, authority.certificate)
        or _names(known.certificate) != set(region.names)
    ):
        _save(files, _new_certificate(region, authority, now))
    return files


def _is_current(certificate: x509.Certificate, now: datetime) -> bool:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begins <= now < ends - RENEWED_BEFORE_END


def _is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names(certificate: x509.Certificate) -> set[str]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(extension.value.get_values_for_type(x509.DNSName))


def _new_authority(now: datetime) -> _Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Throw-away CA of the local Regions")
    builder = (
        _builder(name, key, now, now + VALID_FOR)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
    )
    return _Issued(builder.sign(key, hashes.SHA256()), key)


def _new_certificate(region: Region, authority: _Issued, now: datetime) -> _Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    ends = min(now + VALID_FOR, issuer.not_valid_after_utc)
    names = [x509.DNSName(name) for name in region.names]
    builder = (
        _builder(_name(f"Edge of {region.name}"), key, now, ends)
        .issuer_name(issuer.subject)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
    )
    return _Issued(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _load(files: KeyPair) -> _Issued | None:
    """What stands in the files; None when it cannot be used."""
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        key = serialization.load_pem_private_key(files.key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    return _Issued(certificate, key) if key.public_key() == certificate.public_key() else None


def _save(files: KeyPair, issued: _Issued) -> None:
    key = issued.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_atomically(files.key, key, mode=0o600)
    write_atomically(files.certificate, issued.certificate.public_bytes(serialization.Encoding.PEM))
