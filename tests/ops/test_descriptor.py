"""The environment descriptor: what a command needs to know, and what is wrong with a bad one."""

import json
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

import pytest
from fake_environment import EAST, OUTPUTS, WEST, outputs, sandbox_access

from constructs_lib.outputs import Outputs
from ops import __main__ as program
from ops.cli.options import add_environment_options, environment_from
from ops.descriptor import Descriptor, SandboxAccess, descriptor_file, read, write
from ops.environment import Environment
from ops.errors import ExitCode, OpsError
from ops.http_client import Network
from ops.terraform import Terraform

pytestmark = pytest.mark.unit

ON_AWS = Descriptor.on_aws(outputs())
SANDBOX = Descriptor(
    outputs(environment="local", evacuation=None),
    Network(
        (("127.0.0.1", 10053),),
        "example.com",
        name_servers=("ns-1.example.org",),
        hosts={"east.example": ("127.0.1.1", 8443)},
        https_port=8443,
        ca_file=Path("ca.pem"),
        ipv6=False,
    ),
    "http://127.0.0.1:4566",
    sandbox_access(),
)


@pytest.mark.parametrize("descriptor", [ON_AWS, SANDBOX], ids=["aws", "sandbox"])
def test_a_descriptor_is_read_as_it_was_written(tmp_path, descriptor):
    path = descriptor_file(tmp_path / "new", descriptor.environment)

    write(path, descriptor)

    assert read(path) == descriptor
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_members_are_a_contract():
    document = SANDBOX.to_json()

    assert {name: set(document[name]) for name in ("aws", "network", "sandbox")} == {
        "aws": {"endpoint_url"},
        "network": {"dns_servers", "hosts", "https_port", "ca_file", "ipv6"},
        "sandbox": {
            *("fault_injection_url", "health_status_url", "speed", "api_keys_file"),
            "synthesized",
        },
    }
    assert (document["version"], document["environment"]) == (1, "local")
    assert Outputs.from_json(document["outputs"]) == SANDBOX.outputs


def test_on_aws_everything_is_aws_own():
    document = ON_AWS.to_json()

    assert document["aws"] == {"endpoint_url": None}
    assert document["sandbox"] is None
    assert document["network"] == {
        "dns_servers": None, "hosts": {}, "https_port": 443, "ca_file": None, "ipv6": True,
    }  # fmt: skip


def changed(**members):
    return json.dumps(ON_AWS.to_json() | members)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting property name"),
        ("[]", "it is not an environment descriptor"),
        ("{}", "it is not an environment descriptor"),
        (changed(version=2), "its version is 2, and 1 is supported"),
        (changed(network={}), "a member is missing or has another form: KeyError('dns_servers')"),
        (changed(network=None), "a member is missing or has another form"),
        (changed(sandbox={"speed": "fast"}), "a member is missing or has another form"),
        (changed(outputs={}), "missing outputs: environment, regions"),
        (changed(outputs=OUTPUTS | {"customers": 1}), "outputs of another form"),
    ],
)
def test_what_is_wrong_with_a_descriptor_is_named_with_a_fix(tmp_path, text, reason):
    path = tmp_path / "x.environment.json"
    path.write_text(text)

    with pytest.raises(OpsError) as caught:
        read(path)

    assert reason in caught.value.args[0]
    assert str(path) in caught.value.args[0]
    assert "ops export" in caught.value.next_step
    assert caught.value.exit_code is ExitCode.USAGE


def test_a_missing_descriptor_is_named(tmp_path):
    with pytest.raises(OpsError, match="No such file"):
        read(tmp_path / "none.json")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(OpsError, match="cannot be written"):
        write(tmp_path / "file" / "x.json", ON_AWS)


def test_nothing_is_looked_up_before_it_is_needed(monkeypatch):
    monkeypatch.setattr("dns.resolver.resolve", lambda *_: pytest.fail("DNS was asked"))
    monkeypatch.setenv("TF_VAR_api_keys", "not JSON")

    environment = Environment(ON_AWS)

    assert environment.regions == (EAST, WEST)
    assert environment.client("dynamodb", WEST)
    with pytest.raises(OpsError, match="TF_VAR_api_keys"):
        _ = environment.api_key


def test_an_endpoint_of_another_environment_is_ignored(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")

    assert "127.0.0.1" not in Environment(ON_AWS).client("dynamodb", WEST).meta.endpoint_url
    sandbox = Environment(SANDBOX).client("dynamodb", WEST)
    assert sandbox.meta.endpoint_url == "http://127.0.0.1:4566"


def opened(*arguments):
    parser = ArgumentParser()
    add_environment_options(parser)
    return environment_from(parser.parse_args(arguments))


def test_the_descriptor_in_the_folder_comes_first(tmp_path):
    write(descriptor_file(tmp_path, "production"), ON_AWS)

    found = opened("--environment", "production", "--folder", str(tmp_path))

    assert found.outputs == ON_AWS.outputs


def test_a_descriptor_under_another_name_is_refused(tmp_path):
    write(descriptor_file(tmp_path, "staging"), ON_AWS)

    with pytest.raises(OpsError, match="describes the environment production, not staging"):
        opened("--environment", "staging", "--folder", str(tmp_path))


def test_an_unknown_environment_names_the_ways_to_know_it(tmp_path):
    with pytest.raises(OpsError, match="is not known here") as caught:
        opened("--environment", "nowhere", "--stack-folder", str(tmp_path / "none"))

    for way in ("sandbox up", "--descriptor FILE", "ops export"):
        assert way in caught.value.next_step


@pytest.fixture
def state(monkeypatch):
    """What Terraform outputs."""
    values = dict(OUTPUTS)
    monkeypatch.setattr(Terraform, "outputs", lambda _: values)
    return values


def test_export_writes_a_descriptor_of_what_terraform_knows(tmp_path, state, capsys):
    path = tmp_path / "production.json"
    command = ["export", "--environment", "production", "--stack-folder", str(tmp_path)]

    assert program.main([*command, "--output", str(path)]) == ExitCode.PASSED

    assert read(path) == ON_AWS
    printed = capsys.readouterr()
    assert printed.out.strip() == str(path)
    for region in ON_AWS.outputs.regions:
        lines = printed.err.partition(f"# evacuate {region}\n")[2].splitlines()
        assert "put-item" in lines[0]
        assert "delete-item" in lines[2]
        assert all(f"evacuation-{region}" in line for line in (lines[0], lines[2]))
        # Nothing of the Region that is lost is called, and no global STS.
        other = next(each for each in ON_AWS.outputs.regions if each != region)
        setup = printed.err.partition(f"for {region}:\n")[2].splitlines()[0]
        assert setup == (
            f"export AWS_REGION={other} AWS_DEFAULT_REGION={other} "
            "AWS_STS_REGIONAL_ENDPOINTS=regional"
        )
        assert f"--region {other} " in lines[0]


def test_the_stack_of_another_environment_is_refused(tmp_path, state, capsys):
    state["environment"] = "staging"

    code = program.main(["export", "--environment", "production", "--stack-folder", str(tmp_path)])

    assert code == ExitCode.USAGE
    assert "is the stack of the environment staging, not production" in capsys.readouterr().err


def test_a_stack_that_lacks_outputs_is_not_deployed(tmp_path, state, capsys):
    del state["zone_id"]

    code = program.main(["export", "--environment", "production", "--stack-folder", str(tmp_path)])

    assert code == ExitCode.PREREQUISITE
    assert "missing outputs: zone_id" in capsys.readouterr().err


def test_a_command_takes_the_name_from_the_descriptor(tmp_path, capsys):
    path = tmp_path / "d.json"
    write(path, SANDBOX)

    assert program.main(["switch", "status", "--descriptor", str(path)]) == ExitCode.USAGE
    assert "the environment local has no failover switch" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["switch", "engage"], ["drill"], ["verify"]])
@pytest.mark.parametrize(
    "which", [[], ["--descriptor", "d.json", "--environment", "production"]], ids=["none", "both"]
)
def test_no_command_guesses_the_environment(capsys, command, which):
    assert program.main([*command, *which]) == ExitCode.USAGE
    error = capsys.readouterr().err
    assert "--environment" in error
    assert f"Next: python -m ops {' '.join(command)} --help" in error


def test_a_descriptor_and_a_stack_folder_exclude_each_other(capsys):
    both = ["--descriptor", "d.json", "--stack-folder", "other"]

    assert program.main(["switch", "status", *both]) == ExitCode.USAGE
    assert "may name two environments" in capsys.readouterr().err


def test_a_sandbox_can_run_at_another_speed():
    environment = Environment(SANDBOX).at_speed(5)

    assert environment.speed == 5
    assert environment.descriptor == replace(SANDBOX, sandbox=replace(SANDBOX.sandbox, speed=5))
    assert isinstance(environment.descriptor.sandbox, SandboxAccess)
