"""Before anything is changed: which environment, which account, whose credentials."""

import json
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from fake_environment import OUTPUTS, WEST, Canned, environment, outputs, sandbox_access

from ops import __main__ as program
from ops.cli import switch as switch_cli
from ops.cli.options import identified
from ops.descriptor import Descriptor, write
from ops.environment import Environment
from ops.errors import ExitCode, OpsError
from ops.http_client import Network
from ops.identity import Identity

pytestmark = pytest.mark.unit

ACCOUNT, OTHER = "123456789012", "210987654321"
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/OnCall/ada"
STS, TABLE = ("sts", WEST), ("dynamodb", WEST)
DEAD = EndpointConnectionError(endpoint_url="https://dead.example")
RIGHT = Canned(get_caller_identity={"Account": ACCOUNT, "Arn": CALLER})
WRONG = Canned(get_caller_identity={"Account": OTHER, "Arn": CALLER.replace(ACCOUNT, OTHER)})


def table_in(account):
    arn = f"arn:aws:dynamodb:{WEST}:{account}:table/weather"
    return Canned(describe_table={"Table": {"TableArn": arn}})


def refused(code):
    return Canned(
        get_caller_identity=ClientError({"Error": {"Code": code, "Message": "no"}}, "GetCaller")
    )


@pytest.fixture(autouse=True)
def shell(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    return monkeypatch


def test_the_account_is_that_of_the_table_among_the_outputs():
    assert outputs().account_id == ACCOUNT


def test_the_line_names_environment_account_caller_and_regions():
    identity = environment({STS: RIGHT}).identify()

    assert str(identity) == (
        f"environment production · account {ACCOUNT} · caller {CALLER} · "
        "Regions us-east-1 (primary), us-west-2"
    )
    assert not identity.notes


@pytest.mark.parametrize("routing_policy", ["latency", "weighted"])
def test_the_line_names_no_primary_where_no_region_is_before_the_others(routing_policy):
    routed = environment({STS: RIGHT}, outputs={"routing_policy": routing_policy})

    assert str(routed.identify()).endswith(" · Regions us-east-1, us-west-2")


def test_another_account_is_refused_with_the_fix():
    with pytest.raises(OpsError, match=f"of the account {OTHER}.*in the account {ACCOUNT}") as e:
        environment({STS: WRONG}).identify()
    assert e.value.exit_code is ExitCode.USAGE
    assert "AWS_PROFILE" in e.value.next_step


def test_without_sts_the_table_tells_the_account():
    identity = environment({STS: DEAD, TABLE: table_in(ACCOUNT)}).identify()

    assert (identity.account_id, identity.caller) == (ACCOUNT, None)
    assert "dead.example" in identity.unknown
    with pytest.raises(OpsError, match=f"of the account {OTHER}"):
        environment({STS: DEAD, TABLE: table_in(OTHER)}).identify()


def test_an_sts_that_never_responds_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("ops.identity.TIMEOUT_SECONDS", 0.01)
    from threading import Event

    silent = Canned(get_caller_identity=lambda: Event().wait(60))

    identity = environment({STS: silent, TABLE: Canned(describe_table={})}).identify()

    assert identity.account_id is None
    assert "no result within 0.01 s; KeyError" in identity.unknown


def test_an_unknown_account_stops_everything_but_an_emergency(capsys):
    dark = environment({STS: DEAD, TABLE: Canned(describe_table=DEAD)})

    with pytest.raises(OpsError, match="cannot be determined, nothing was changed"):
        identified(dark)
    assert identified(dark, refuse_unknown=False).account_id is None
    assert "account unknown · caller unknown" in capsys.readouterr().out


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch"])
def test_invalid_credentials_are_an_error_and_no_unknown(code):
    with pytest.raises(OpsError, match=code) as caught:
        environment({STS: refused(code), TABLE: table_in(ACCOUNT)}).identify()
    assert caught.value.exit_code is ExitCode.PREREQUISITE
    assert "sign in again" in caught.value.next_step


def test_a_sandboxs_credentials_are_refused_on_aws(shell):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        shell.setenv(name, "test")

    with pytest.raises(OpsError, match="are a sandbox's, and production is on AWS") as caught:
        Environment(Descriptor.on_aws(outputs())).identify()
    assert "unset AWS_ACCESS_KEY_ID" in caught.value.next_step


def test_a_sandboxs_endpoints_are_ignored_and_named(shell):
    shell.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    shell.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:4566")

    (note,) = environment({STS: RIGHT}).identify().notes

    assert note.startswith("AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_DYNAMODB: ignored, because")
    assert "Unset" in note


def test_a_sandboxs_endpoints_do_not_redirect_where_credentials_come_from(shell, tmp_path):
    config = tmp_path / "config"
    config.write_text(
        "[profile on-call]\nrole_arn = arn:aws:iam::123456789012:role/OnCall\n"
        "source_profile = base\nregion = us-west-2\n"
        "[profile base]\naws_access_key_id = AKIA\naws_secret_access_key = secret\n"
    )
    shell.setenv("AWS_CONFIG_FILE", str(config))
    shell.setenv("AWS_PROFILE", "on-call")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        shell.delenv(name, raising=False)
    shell.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    shell.setenv("AWS_MAX_ATTEMPTS", "1")
    called = []

    def instead(request, **_):
        called.append(request.url)
        raise DEAD

    session = Environment(Descriptor.on_aws(outputs())).session
    session.events.register("before-send.sts.AssumeRole", instead)

    with pytest.raises(EndpointConnectionError):
        session.get_credentials().get_frozen_credentials()
    assert "amazonaws.com" in called[0]


def test_a_profile_of_this_machine_never_matters_to_a_sandbox(shell, tmp_path):
    (tmp_path / "config").write_text("[default\nnot = a configuration")
    shell.setenv("AWS_PROFILE", "does-not-exist")
    shell.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    descriptor = Descriptor(
        outputs(), Network((), "example.com"), "http://127.0.0.1:4566", sandbox_access()
    )

    client = Environment(descriptor).client("dynamodb", WEST)

    assert client.meta.endpoint_url == "http://127.0.0.1:4566"


def test_each_changing_command_of_the_switch_begins_with_the_line(monkeypatch, capsys):
    found = Canned(
        put_item={}, delete_item={}, get_item={"Item": {"pk": {"S": "control"}}},
        describe_table=DEAD,
    )  # fmt: skip
    for clients in ({STS: RIGHT, TABLE: found}, {STS: WRONG, TABLE: found}):
        monkeypatch.setattr(switch_cli, "environment_from", lambda _, c=clients: environment(c))
        for command in ("engage", "release"):
            found.calls.clear()
            code = program.main(["switch", command, "--environment", "production", "--yes"])
            out, error = capsys.readouterr()
            if clients[STS] is RIGHT:
                assert out.startswith("environment production · account")
            else:
                assert code == ExitCode.USAGE
                assert f"of the account {OTHER}" in error
                assert {name for name, _ in found.calls} <= {"describe_table"}


def test_engage_works_without_knowing_the_account_once_confirmed(monkeypatch, capsys):
    found = Canned(
        put_item={}, get_item={"Item": {"pk": {"S": "control"}}}, describe_table=DEAD,
        delete_item={},
    )  # fmt: skip
    dark = environment({STS: DEAD, TABLE: found, ("route53", WEST): Canned(get_health_check=DEAD)})
    monkeypatch.setattr(switch_cli, "environment_from", lambda _: dark)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    which = ["--environment", "production"]

    assert program.main(["switch", "engage", *which]) == ExitCode.USAGE
    assert "the account of these credentials is unknown" in capsys.readouterr().err
    assert program.main(["switch", "release", *which, "--yes"]) == ExitCode.PREREQUISITE
    assert "put_item" not in dict(found.calls)
    assert "delete_item" not in dict(found.calls)
    assert program.main(["switch", "engage", *which, "--yes"]) == ExitCode.PASSED
    assert dict(found.calls)["put_item"]["TableName"] == OUTPUTS["table_arns"][WEST]


def test_the_json_document_holds_the_identity(tmp_path, monkeypatch, capsys):
    state = Canned(get_item={})
    monkeypatch.setattr(
        switch_cli, "environment_from", lambda _: environment({STS: RIGHT, TABLE: state})
    )

    code = program.main(["switch", "status", "--environment", "production", "--json"])

    out, error = capsys.readouterr()
    document = json.loads(out)
    assert code == document["exit_code"] == 0
    assert document["command"] == "switch status"
    assert document["environment"] == "production"
    assert document["error"] is None
    assert document["identity"]["caller"] == CALLER
    assert document["evacuations"]["us-east-1"]["evacuated"] is False
    assert "not evacuated" in error


@pytest.mark.parametrize("arn", ["arn", "", None])
def test_outputs_without_an_account_are_refused(tmp_path, arn):
    path = tmp_path / "d.json"
    write(path, Descriptor.on_aws(outputs()))
    document = json.loads(path.read_text())
    document["outputs"]["table_arns"][WEST] = arn
    path.write_text(json.dumps(document))

    assert program.main(["switch", "status", "--descriptor", str(path)]) == ExitCode.USAGE


def test_identity_is_plain_values():
    found = Identity("production", None, None, ("a", "b"), "why", ("X",))

    assert json.loads(json.dumps(found.to_json()))["unknown"] == "why"
    assert [note.partition(":")[0] for note in found.notes] == ["Unknown", "X"]
    assert replace(found, unknown="").notes == (found.notes[1],)
