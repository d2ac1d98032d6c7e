"""A throw-away certificate authority, and one certificate for each Region.

The authority is kept, so that clients which have loaded its certificate trust the Regions after
another start, too; certificates are made at each start and valid for a few days.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from sandbox.region_endpoints.config import Region

VALID_FOR = timedelta(days=30)


def authority_file(folder: Path) -> Path:
    """Give the path of the certificate that clients trust.

    Args:
        folder: The folder of the certificates.
    """
    return folder / "ca.pem"


def server_contexts(folder: Path, regions: Iterable[Region]) -> dict[str, ssl.SSLContext]:
    """Make an authority, unless the folder has one, and the TLS settings of each Region.

    Args:
        folder: Where the authority is kept: `ca.pem`, and `ca.key`, readable by this user only.
        regions: The Regions; each certificate carries all of a Region's names.

    Returns:
        `{region: its TLS settings}`. They refuse a handshake without a server name, as API Gateway
        does: a client or health check that forgets SNI shall fail here as well.
    """
    authority = _authority(folder)
    ends = datetime.now(UTC) + VALID_FOR
    contexts = {}
    for region in regions:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.sni_callback = _require_server_name
        authority.issue_cert(*region.names, not_after=ends).configure_cert(context)
        contexts[region.name] = context
    return contexts


def _authority(folder: Path) -> trustme.CA:
    certificate, key = authority_file(folder), folder / "ca.key"
    try:
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    except (OSError, ValueError):
        authority = trustme.CA()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key.touch(mode=0o600)
    authority.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(certificate)
    return authority


def _require_server_name(
    _tls: ssl.SSLObject, server_name: str | None, _context: ssl.SSLContext
) -> int | None:
    return None if server_name else ssl.AlertDescription.ALERT_DESCRIPTION_HANDSHAKE_FAILURE
