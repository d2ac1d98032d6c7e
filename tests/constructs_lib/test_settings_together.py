"""Settings of different capabilities, each pair of their values in one environment or more.

What one of them creates must name the provider of its Region and the parts of its own stack,
whatever the layout, the routing and the number of Regions.
"""

import itertools

import pytest
import tomlkit
from cdktf import App
from provider_schema import violations
from repository_files import REPOSITORY
from synthesis import Synthesized

import weather_api.stack
from constructs_lib.settings import SettingsError, load

pytestmark = pytest.mark.model

LOCAL = REPOSITORY / "environments" / "local.toml"
REGIONS = ["us-east-1", "us-west-2", "us-east-2"]
VALUES = {
    "layout": ("single", "regional"),
    "regions": (2, 3),
    "routing": ("failover", "manual failback", "latency", "weighted"),
    "consistency": ("eventual", "strong"),
    "fault_injection_service": (False, True),
    "sign_records": (False, True),
    "fence_writes": (False, True),
    "capacity": (False, True),
    "customer_managed_key": (False, True),
}


def is_allowed(row):
    """A paused replica of a strongly consistent table refuses writes."""
    return not (row.get("fault_injection_service") and row.get("consistency") == "strong")


def covering():
    """Rows that have each pair of values which is allowed, chosen one after the other."""
    rows = [dict(zip(VALUES, each, strict=True)) for each in itertools.product(*VALUES.values())]
    rows = [row for row in rows if is_allowed(row)]
    pairs_of = [set(itertools.combinations(row.items(), 2)) for row in rows]
    missing = set().union(*pairs_of)
    while missing:
        best = max(range(len(rows)), key=lambda index: len(pairs_of[index] & missing))
        missing -= pairs_of[best]
        yield rows[best]


ROWS = list(covering())


def environment(row):
    """The environment file of a row."""
    values = tomlkit.parse(LOCAL.read_text())
    regions = REGIONS[: row["regions"]]
    routing = row["routing"]
    changes = {
        "layout": row["layout"],
        "regions": regions,
        "routing_policy": routing if routing in ("latency", "weighted") else "failover",
        "failback": "manual" if routing == "manual failback" else "automatic",
        "fence_writes": row["fence_writes"],
        "encryption": {"customer_managed_key": row["customer_managed_key"]},
        "monitoring": {"alarms": True, "emails": ["on-call@example.com"], "dashboard": True},
        "drills": {"fault_injection_service": row["fault_injection_service"]},
        "objectives": {"rto_seconds": 180, "rpo_seconds": 5, "sign_records": row["sign_records"]},
        "capacity": {
            region: {"provisioned_concurrency": 2} for region in regions if row["capacity"]
        },
    }
    if routing == "weighted":
        changes["weights"] = dict.fromkeys(regions, 1)
    if row["consistency"] == "strong":
        values["table"]["consistency"] = "strong"
        if row["regions"] == 2:
            values["table"]["witness_region"] = REGIONS[2]
    return tomlkit.dumps(changes | values.unwrap() | changes)


def stacks_of(row, folder):
    file, outputs = folder / "local.toml", folder / "out"
    file.write_text(environment(row))
    app = App(outdir=str(outputs))
    weather_api.stack.build_stack(app, load(file))
    app.synth()
    return {
        found.parent.name: Synthesized(found.read_text())
        for found in outputs.glob("stacks/*/cdk.tf.json")
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(map(str, row.values())))
def test_each_pair_of_settings_fits_together(row, tmp_path):
    for name, stack in stacks_of(row, tmp_path).items():
        # THEN every part is in a Region of the stack, and refers to parts of the stack
        aliases = {f"aws.{each['alias']}" for each in stack.json["provider"]["aws"]}
        others = {
            address: arguments.get("provider")
            for address, arguments in stack.everything()
            if "aws_" in address and arguments.get("provider") not in aliases
        }
        assert others == {}, name
        assert stack.references() <= {*stack.addresses()}, name
        # AND names are unique, and none is too long
        for type in ("aws_iam_role", "aws_lambda_function", "aws_cloudwatch_log_group"):
            found = stack.resources(type).values()
            key = {"aws_lambda_function": "function_name"}.get(type, "name")
            names = [(each["provider"], each[key]) for each in found]
            assert len(set(names)) == len(names), name
        assert all(len(each["name"]) <= 64 for each in stack.resources("aws_iam_role").values())
        # AND the newest provider takes it
        assert list(violations(stack.json)) == [], name


def test_the_one_pair_that_is_refused_is_refused_with_the_fix(tmp_path):
    row = ROWS[0] | {"fault_injection_service": True, "consistency": "strong"}

    with pytest.raises(SettingsError, match="remove fault_injection_service"):
        stacks_of(row, tmp_path)
