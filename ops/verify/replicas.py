"""Status of the table's replicas, and of the KMS keys without which they leave the global table."""

from collections.abc import Iterator, Mapping
from typing import Any

from ops.environment import Environment
from ops.verify.finding import Finding, passed, passed_unless, region_check

USABLE_TABLE = ("ACTIVE", "UPDATING")
USABLE_KEY = ("Enabled", "Updating")
"""States in which a KMS key encrypts and decrypts.

Source: https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
"""
_REASONS = {
    "INACCESSIBLE_ENCRYPTION_CREDENTIALS": "its KMS key cannot be used",
    "REGION_DISABLED": "the Region is disabled in this account",
    "REPLICATION_NOT_AUTHORIZED": "a policy denies replication",
}
_FIX = (
    "wait if it is being created or updated; deploy again if it does not exist. Make the "
    "key, the Region or the permission available again: a replica that has been inaccessible for "
    "{limit} leaves the global table for good"
)
_FIX_CONSISTENCY = (
    "wait if the witness is being created. The consistency of a table that exists cannot be "
    "changed: deploy another environment beside this one, and move the customers"
)
_FIX_KEY = (
    "aws kms cancel-key-deletion --region {region} --key-id {key}, then aws kms enable-key with "
    "the same options: after {limit} without its key the replica leaves the global table for good"
)


@region_check("table.replicas")
def status(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that the table is active in the Region, and so are all its other replicas.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ReplicaDescription.html
    """
    table = described(environment, region)
    problems = []
    if table["TableStatus"] not in USABLE_TABLE:
        problems.append(f"its status is {_explained(table['TableStatus'])}")
    replicas = {each["RegionName"]: each for each in table.get("Replicas", ())}
    others = [other for other in environment.regions if other != region]
    problems += [
        f"its replica in {other} is not active: {_replica_status(replicas.get(other, {}))}"
        for other in others
        if replicas.get(other, {}).get("ReplicaStatus") != "ACTIVE"
    ]
    yield passed_unless(
        region,
        problems,
        found=f"{table['TableStatus']}, with active replicas in {', '.join(others)}",
        fix=_FIX.format(limit=_limit(environment)),
    )


@region_check("table.consistency")
def consistency(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that the table is as consistent between Regions as its environment, with its witness.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableDescription.html
    """
    table, outputs = described(environment, region), environment.outputs
    wanted = (outputs.consistency or "eventual").upper()
    # DynamoDB names no mode of a table that has none of its own.
    found = table.get("MultiRegionConsistency", "EVENTUAL")
    problems = [] if found == wanted else [f"its consistency is {found}, not {wanted}"]
    witnesses = {
        each["RegionName"]: each.get("WitnessStatus", "none")
        for each in table.get("GlobalTableWitnesses", ())
    }
    expected = [outputs.witness_region] if outputs.witness_region else []
    problems += [
        f"its witness in {witness} is not active: {witnesses.get(witness, 'none')}"
        for witness in expected
        if witnesses.get(witness) != "ACTIVE"
    ]
    problems += [f"it has a witness in {each}" for each in witnesses if each not in expected]
    yield passed_unless(
        region,
        problems,
        found=", ".join([found, *(f"witness in {each}: {witnesses[each]}" for each in witnesses)]),
        fix=_FIX_CONSISTENCY,
    )


@region_check("key.state")
def key_state(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that the KMS key of the Region's replica can be used and is not about to be deleted.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/globaltables-security.html
    """
    table = described(environment, region)
    if not uses_kms(table):
        yield passed(region, "encrypted with a key that AWS owns, which nobody can disable")
        return
    encryption = table["SSEDescription"]
    arn = encryption["KMSMasterKeyArn"]
    key = environment.client("kms", region).describe_key(KeyId=arn)["KeyMetadata"]
    state = key["KeyState"]
    problems = []
    if state not in USABLE_KEY:
        until = f", to be deleted at {key['DeletionDate']}" if key.get("DeletionDate") else ""
        problems.append(f"the state of its key {arn} is {state}{until}")
    if since := encryption.get("InaccessibleEncryptionDateTime"):
        problems.append(f"DynamoDB has not been able to use {arn} since {since}")
    kind = key.get("MultiRegionConfiguration", {}).get("MultiRegionKeyType")
    yield passed_unless(
        region,
        problems,
        found=f"{arn}: {state}{f', multi-Region, {kind.lower()}' if kind else ''}",
        fix=_FIX_KEY.format(region=region, key=arn, limit=_limit(environment)),
    )


def uses_kms(table: Mapping[str, Any]) -> bool:
    """Whether a table is encrypted with a KMS key; AWS owns the key of any other.

    Args:
        table: Its description.
    """
    return table.get("SSEDescription", {}).get("Status") in ("ENABLED", "UPDATING")


def described(environment: Environment, region: str) -> dict[str, Any]:
    """Describe the table in a Region, as DynamoDB does.

    Args:
        environment: The environment.
        region: The Region.
    """
    found: dict[str, Any] = environment.client("dynamodb", region).describe_table(
        TableName=environment.table(region)
    )["Table"]
    return found


def _limit(environment: Environment) -> str:
    """How long a replica may be inaccessible.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/globaltables-security.html
    """
    return "seven days" if environment.outputs.consistency == "strong" else "20 hours"


def _replica_status(replica: Mapping[str, Any]) -> str:
    since = replica.get("ReplicaInaccessibleDateTime")
    return _explained(replica.get("ReplicaStatus", "none")) + (f", since {since}" if since else "")


def _explained(status: str) -> str:
    return f"{status} ({_REASONS[status]})" if status in _REASONS else status
