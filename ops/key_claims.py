"""Who creates a key first: claims in the secondary Region's replica, before anything is deployed.

A key that is created on two machines has two values. Once one of them is deployed, the other one is
refused by comparing them; until then, a claim says whose is the key's. It holds a salted digest:
values that this tool creates have 160 random bits, which no digest gives away.
"""

import hashlib
import hmac
import json
import secrets
import shlex
import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.environment import Environment
from ops.errors import UsageError
from ops.lock import user
from ops.lock_item import delete, key_of, read_item, update

ITEM_PREFIX = "api-key-"
LIFETIME = timedelta(days=30)
"""A key that was created, and not deployed for so long, may be created again."""


def claim(
    environment: Environment, values: Mapping[str, str], *, now: datetime | None = None
) -> None:
    """Claim keys that are not deployed yet; again does no harm.

    Args:
        environment: The environment.
        values: `{key name: value}` of this machine.
        now: The time; by default that of this machine.

    Raises:
        OpsError: Another machine has created one of them. The others are not claimed then.
        BotoCoreError, ClientError: The secondary Region does not respond.
    """
    now = now or datetime.now(UTC)
    claimed = []
    for name, value in values.items():
        salt = secrets.token_hex(16)
        mine = {
            "salt": salt,
            "digest": _digest(salt, value),
            "who": f"{user()} on {socket.gethostname()}",
            "since": now.isoformat(timespec="seconds"),
        }
        found = None
        # Whoever has claimed it may withdraw that before it is read.
        while not (written := _written(environment, name, mine, now - LIFETIME)):
            if found := read_item(environment, ITEM_PREFIX + name):
                break
        if written:
            claimed.append((name, mine["digest"]))
        elif found and not _is_of(value, found):
            for other, digest in claimed:
                _withdraw(environment, other, digest)
            raise _refused(environment, name, found)


def _written(
    environment: Environment, name: str, item: Mapping[str, str], expired: datetime
) -> bool:
    found = update(
        environment,
        item,
        condition="attribute_not_exists(#digest) OR #since < :expired",
        item=ITEM_PREFIX + name,
        expired=expired.isoformat(),
    )
    return found is not None


def _is_of(value: str, found: Mapping[str, Any]) -> bool:
    return hmac.compare_digest(_digest(found["salt"]["S"], value), found["digest"]["S"])


def _withdraw(environment: Environment, name: str, digest: str) -> None:
    # The value is removed from this machine, too; a claim that stays expires.
    with suppress(Exception):
        item = ITEM_PREFIX + name
        delete(environment, condition="#digest = :digest", item=item, digest=digest)


def _refused(environment: Environment, name: str, found: Mapping[str, Any]) -> UsageError:
    words = ["aws", "dynamodb", "delete-item", "--region", environment.secondary]
    words += ["--table-name", environment.table(environment.secondary)]
    words += ["--key", json.dumps(key_of(environment, ITEM_PREFIX + name))]
    return UsageError(
        f"{name} was created by {found['who']['S']} at {found['since']['S']}, with another value, "
        "and is not deployed yet: of two values one would lock its customer out",
        next_step="get the newest environment file, and once that key is deployed, its value: "
        f"python -m ops customers pull --environment {environment.name}; if that value is lost, "
        f"give up the key: {shlex.join(words)}",
    )


def _digest(salt: str, value: str) -> str:
    return hashlib.sha256(f"{salt}:{value}".encode()).hexdigest()
