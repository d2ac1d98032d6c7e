"""Alias records are exchanged for CNAME records and back: all in one batch, each as it was."""

import json
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError
from fake_environment import EAST, NAME, OUTPUTS, WEST, Canned, environment, sandbox_access

from ops import records
from ops.__main__ import main
from ops.cli import records as records_cli
from ops.errors import OpsError

pytestmark = pytest.mark.unit

THIRD = "eu-west-1"
BEHIND = f"failover-2.{NAME}"
ZONE = OUTPUTS["zone_id"]
TARGETS = {
    region: f"d-{region}.execute-api.{region}.amazonaws.com" for region in (EAST, WEST, THIRD)
}
REGIONS = {
    "regions": [EAST, WEST, THIRD],
    "failover_names": [BEHIND],
    "domain_targets": TARGETS,
    **{
        name: values | {THIRD: f"{name}-third"}
        for name, values in OUTPUTS.items()
        if isinstance(values, dict) and values.keys() == {EAST, WEST} and name != "domain_targets"
    },
}
ROUTES = (
    (NAME, "primary", EAST, "check-1"),
    (NAME, "secondary", "", ""),
    (BEHIND, "primary", WEST, "check-2"),
    (BEHIND, "secondary", THIRD, "check-3"),
)


def alias(name, role, region, check, kind):
    target = (f"Z-{region}", TARGETS[region]) if region else (ZONE, BEHIND)
    found = {
        "Name": f"{name}.", "Type": kind, "SetIdentifier": role, "Failover": role.upper(),
        "AliasTarget": {
            "HostedZoneId": target[0], "DNSName": f"{target[1]}.", "EvaluateTargetHealth": True,
        },
    }  # fmt: skip
    return found | ({"HealthCheckId": check} if check else {})


def cname(name, role, region, check):
    found = alias(name, role, region, check, "CNAME")
    if region:
        del found["AliasTarget"]
        found |= {"TTL": 10, "ResourceRecords": [{"Value": TARGETS[region]}]}
    return found


ALIASES = [alias(*route, kind) for kind in ("A", "AAAA") for route in ROUTES]
CNAMES = [cname(*route) for route in ROUTES]
VALIDATION = {"Name": f"_x.{NAME}.", "Type": "CNAME", "TTL": 60, "ResourceRecords": []}
BESIDE = {"Name": f"{NAME}.", "Type": "TXT", "TTL": 60, "ResourceRecords": []}


class Route53(Canned):
    """Lists what exists, and keeps the batches of changes."""

    def __init__(self, existing, error=None):
        self.batches = []

        def change(HostedZoneId, ChangeBatch):  # noqa: N803
            assert HostedZoneId == ZONE
            if error:
                raise error
            self.batches.append(ChangeBatch["Changes"])

        super().__init__(
            list_resource_record_sets={"ResourceRecordSets": [*deepcopy(existing), VALIDATION]},
            change_resource_record_sets=change,
        )


def world(existing, **more):
    route53 = Route53(existing, **more)
    gateways = {
        ("apigateway", region): Canned(get_domain_name={"regionalHostedZoneId": f"Z-{region}"})
        for region in TARGETS
    }
    return environment({("route53", EAST): route53, **gateways}, outputs=REGIONS), route53


def synthesized(folder, wanted):
    """The folder of a stack that asks for these records."""
    stack = {
        f"dns_{index}": {
            "name": each["Name"][:-1], "type": each["Type"],
            "set_identifier": each["SetIdentifier"],
            **({"ttl": each["TTL"]} if "TTL" in each else {}),
        }
        for index, each in enumerate(wanted)
    }  # fmt: skip
    # With manual failback.
    stack["dns_serving_primary"] = {
        "name": f"serving.{NAME}", "type": "A", "set_identifier": "primary", "ttl": 2,
    }  # fmt: skip
    stack["dns_certificate_validation"] = {"name": "_x", "type": "CNAME", "ttl": 60}
    (folder / "cdk.tf.json").write_text(json.dumps({"resource": {"aws_route53_record": stack}}))
    return folder


def canonical(record):
    """Without the dots at the end of host names, which mean the same."""
    return json.loads(json.dumps(record, sort_keys=True).replace('."', '"'))


@pytest.mark.parametrize(
    ("existing", "wanted", "ttl"),
    [(ALIASES, CNAMES, 10), (CNAMES, ALIASES, None)],
    ids=["to CNAME", "to alias"],
)
def test_every_record_is_exchanged_in_one_batch(tmp_path, existing, wanted, ttl):
    folder = synthesized(tmp_path, wanted)
    here, route53 = world([*existing, BESIDE])

    exchange = records.plan(here, folder)
    file = records.carry_out(here, exchange, folder)

    assert exchange.ttl_seconds == ttl
    (batch,) = route53.batches
    by_action = {
        action: [c["ResourceRecordSet"] for c in batch if c["Action"] == action]
        for action in ("DELETE", "CREATE")
    }
    # What is deleted is named as Route 53 has it.
    key = json.dumps
    assert sorted(map(key, by_action["DELETE"])) == sorted(map(key, existing))
    created = [canonical(each) for each in by_action["CREATE"]]
    assert sorted(map(key, created)) == sorted(key(canonical(each)) for each in wanted)
    # A name exists before an alias of it.
    names = [each["Name"] for each in created]
    assert names.index(BEHIND) < names.index(NAME)
    # AND Terraform finds each of them at its address.
    imports = json.loads(file.read_text())["import"]
    assert sorted(each["id"] for each in imports) == sorted(
        f"{ZONE}_{r['Name'][:-1]}_{r['Type']}_{r['SetIdentifier']}" for r in wanted
    )
    assert len({each["to"] for each in imports}) == len(wanted)


@pytest.mark.parametrize("existing", [ALIASES, CNAMES])
def test_records_that_are_as_they_should_be_are_left(tmp_path, existing):
    here, route53 = world(existing)

    with pytest.raises(OpsError, match="nothing to exchange"):
        records.plan(here, synthesized(tmp_path, existing))
    assert not route53.batches


def test_a_refusal_leaves_nothing_for_terraform_to_import(tmp_path):
    refused = ClientError({"Error": {"Code": "InvalidChangeBatch"}}, "ChangeResourceRecordSets")
    here, _ = world(ALIASES, error=refused)
    folder = synthesized(tmp_path, CNAMES)

    with pytest.raises(ClientError):
        records.carry_out(here, records.plan(here, folder), folder)

    assert [file.name for file in folder.iterdir()] == ["cdk.tf.json"]


def test_a_record_that_the_stack_does_not_have_stops_everything(tmp_path):
    here, route53 = world(ALIASES)
    folder = synthesized(tmp_path, CNAMES[:-1])

    with pytest.raises(OpsError, match=rf"no record {BEHIND} CNAME secondary"):
        records.carry_out(here, records.plan(here, folder), folder)
    assert not route53.batches


def test_a_target_that_is_no_region_stops_everything(tmp_path):
    strange = CNAMES[0] | {"ResourceRecords": [{"Value": "elsewhere.test"}]}
    here, route53 = world([strange, *CNAMES[1:]])

    with pytest.raises(OpsError, match=r"points to elsewhere\.test, which is no Region"):
        records.plan(here, synthesized(tmp_path, ALIASES))
    assert not route53.batches


def test_what_is_not_synthesized_is_named(tmp_path):
    with pytest.raises(OpsError, match="is not synthesized"):
        records.plan(world(ALIASES)[0], tmp_path)


@contextmanager
def held(environment, *, kind, notify):
    """The environment's lock, which nobody else has."""
    assert kind == "records"
    yield


@pytest.fixture
def command(tmp_path, monkeypatch):
    """The command on a sandbox whose stack is synthesized here: its exit code."""
    stack = tmp_path / "stacks" / "production"
    stack.mkdir(parents=True)

    def run(existing, wanted):
        here, route53 = world(existing)
        access = replace(sandbox_access(), synthesized=tmp_path)
        here = replace(here, descriptor=replace(here.descriptor, sandbox=access))
        monkeypatch.setattr(records_cli, "environment_from", lambda _: here)
        monkeypatch.setattr(records_cli, "identified", lambda *_, **__: None)
        monkeypatch.setattr(records_cli, "hold", held)
        synthesized(stack, wanted)
        return main(["records", "--environment", "production"]), route53.batches

    return run


@pytest.mark.parametrize(
    ("existing", "wanted", "words"),
    [
        (ALIASES, CNAMES, "8 records were replaced by 4 CNAME records, of 10 s to live"),
        (CNAMES, ALIASES, "4 records were replaced by 8 alias records, of 60 s to live"),
    ],
    ids=["to CNAME", "to alias"],
)
def test_the_command_says_what_it_did_and_what_is_next(command, capsys, existing, wanted, words):
    code, batches = command(existing, wanted)

    out = capsys.readouterr().out
    assert (code, len(batches)) == (0, 1)
    assert words in out
    assert "stacks/production apply -replace=terraform_data.deployed_settings" in out


def test_the_command_changes_nothing_where_nothing_is_to_change(command, capsys):
    code, batches = command(ALIASES, ALIASES)

    assert (code, batches) == (2, [])
    assert "run synth first" in capsys.readouterr().err
