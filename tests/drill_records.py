"""Records of drills that never were, and a key that signs them."""

import base64
from datetime import UTC, datetime, timedelta
from functools import cached_property

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from fake_environment import EAST, WEST

from ops.deploy.shelf import FolderShelf
from ops.readiness import deployed
from ops.readiness.chain import append
from ops.readiness.record import VERSION, DrillRecord
from ops.readiness.signing import ALGORITHM, PublicKey

NAME = "production"
PROOF = ("readiness", "--proof", "switch")
ARN = "arn:aws:kms:us-west-2:123456789012:key/records"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DEPLOYED = {
    EAST: {"release": "abc", "routes": "1", "functions": "2", "stage": "3"},
    WEST: {"release": "abc", "routes": "1", "functions": "2", "stage": "3"},
    "routing": {"settings": "4"},
}


def record(run="drill-1", *, days=1.0, **changes):
    """A switch drill of the primary that passed so many days before `NOW`."""
    ended = (NOW - timedelta(days=days)).isoformat(timespec="seconds")
    values = {
        "version": VERSION, "run": run, "environment": NAME, "account_id": "123456789012",
        "caller": "arn:aws:sts::123456789012:assumed-role/drills/ada", "user": "ada",
        "host": "laptop", "regions": (EAST, WEST), "routing_policy": "failover", "fault": "switch",
        "description": "evacuate us-east-1", "lost": (EAST,), "started": ended, "ended": ended,
        "speed": 1.0, "deployed": DEPLOYED,
        "objectives": {"rto_seconds": None, "rpo_seconds": None}, "max_rto_seconds": 156.0,
        "rto": {"judged_by": "rto", "state": "measured", "seconds": 92.0, "error_seconds": 2.0},
        "rpo": {"writes": 0, "state": "measured", "seconds": 0.0, "error_seconds": 1.0},
        "verdict": "passed", "findings": (), "left": (), "checks": {"dns.records": "passed"},
        "tool": {"revision": "abc", "modules_sha256": "d", "python": "3.11"},
        "report_sha256": "e",
    }  # fmt: skip
    return DrillRecord(**values | changes)


def ready(ada, *, days):
    """A drill that passed so many days ago, of what is deployed now."""
    ended = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
    shelf = FolderShelf.of(ada.folder, "production")
    now = deployed.deployed_now(ada.environment, shelf)
    append(shelf, record(ended=ended, started=ended, deployed=now))


class Signer:
    """A key pair in the place of one in KMS."""

    def __init__(self, bits=2048):
        self.key = rsa.generate_private_key(65537, bits)

    def sign(self, content):
        value = self.key.sign(content, padding.PKCS1v15(), hashes.SHA256())
        return {
            "key": ARN,
            "algorithm": ALGORITHM,
            "value": base64.b64encode(value).decode(),
        }

    def _encoded(self, encoding):
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(encoding, form)

    @property
    def der(self):
        return self._encoded(serialization.Encoding.DER)

    @property
    def pem(self):
        return self._encoded(serialization.Encoding.PEM)

    @cached_property
    def public(self):
        return PublicKey.from_bytes(self.der)
