"""What `verify` makes of its checks: none hides another, and the form of the report stays."""

import argparse
import json

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from fake_environment import EAST, WEST, environment
from rich.console import Console

from ops.cli import verify as verify_cli
from ops.errors import ExitCode, OpsError
from ops.verification.checks import CHECKS
from ops.verification.finding import Outcome, check, failed, passed, region_check, unknown
from ops.verify import verify

pytestmark = pytest.mark.unit


@check("sea.calm")
def calm(_):
    yield passed("sea", "calm", waves_m=0.1)


@check("sea.deep")
def shallow(_):
    yield failed("sea", "[shallow]", "dredge it")


@check("sea.monster")
def dark(_):
    yield unknown("monster", "too dark")


@check("sky.clear")
def breaking(_):
    yield passed("sun", "shines")
    raise KeyError("moon")


@region_check("region.alive")
def dead_in_the_east(_, region):
    if region == EAST:
        raise EndpointConnectionError(endpoint_url="https://dead.example")
    yield passed(region, "alive")


def test_every_finding_bears_the_id_of_its_check():
    assert [finding.check for finding in verify(environment(), [calm, dark]).findings] == [
        "sea.calm",
        "sea.monster",
    ]


def test_a_check_that_breaks_is_a_failed_finding_after_what_it_found():
    sun, broken = verify(environment(), [breaking]).findings

    assert sun.outcome is Outcome.PASSED
    assert broken.outcome is Outcome.FAILED
    assert broken.check == "sky.clear"
    assert broken.found == "KeyError: 'moon'"
    assert broken.fix


def test_a_dead_region_does_not_hide_the_others():
    east, west = verify(environment(), [dead_in_the_east]).findings

    assert (east.subject, east.outcome) == (EAST, Outcome.FAILED)
    assert "https://dead.example" in east.found
    assert (west.subject, west.outcome) == (WEST, Outcome.PASSED)


@pytest.mark.parametrize(
    ("error", "found", "fix"),
    [
        (
            OpsError("the edges are gone", next_step="start them"),
            "the edges are gone",
            "start them",
        ),
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetStage"),
            "AccessDenied",
            "these credentials may make this call",
        ),
        (TimeoutError("timed out"), "TimeoutError: timed out", "see that the Region answers"),
    ],
)
def test_what_breaks_a_check_comes_with_a_next_step(error, found, fix):
    @check("some.thing")
    def raising(_):
        raise error
        yield

    (finding,) = verify(environment(), [raising]).findings

    assert found in finding.found
    assert fix in finding.fix


def test_what_cannot_be_seen_is_no_failure():
    assert verify(environment(), [calm, dark]).passed
    assert not verify(environment(), [calm, dark, shallow]).passed


def test_the_keys_of_the_report_stay():
    report = verify(environment(), [calm, shallow, dark]).to_json()

    assert list(report) == [
        "version", "environment", "checked_at", "seconds", "passed", "summary", "findings",
    ]  # fmt: skip
    assert report["summary"] == {"passed": 1, "failed": 1, "unknown": 1}
    assert report["findings"][:2] == [
        {
            "check": "sea.calm", "subject": "sea", "outcome": "passed", "found": "calm", "fix": "",
            "measured": {"waves_m": 0.1},
        },
        {
            "check": "sea.deep", "subject": "sea", "outcome": "failed", "found": "[shallow]",
            "fix": "dredge it", "measured": {},
        },
    ]  # fmt: skip


def test_the_ids_of_the_checks_are_a_contract():
    assert [check.id for check in CHECKS] == [
        "leftover.switch",
        "leftover.edge_faults",
        "leftover.table_faults",
        "leftover.health_function",
        "dns.records",
        "dns.answer",
        "health_check.aim",
        "health_check.switch",
        "health_check.state",
        "certificate.issued",
        "certificate.served",
        "region.own_url",
        "region.domain",
        "region.key",
        "data.replication",
        "parity.routes",
        "parity.functions",
        "parity.stage",
        "parity.keys",
        "parity.limits",
        "table.protection",
        "table.parity",
    ]


def test_an_aws_that_is_gone_altogether_is_no_traceback(monkeypatch):
    gone = environment(
        {
            (service, region): EndpointConnectionError(endpoint_url=f"https://{service}.example")
            for service in ("acm", "apigateway", "cloudwatch", "dynamodb", "lambda", "route53")
            for region in (EAST, WEST)
        }
    )

    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("socket.getaddrinfo", unreachable)

    verification = verify(gone)

    looked_at = {finding.check for finding in verification.findings}
    assert {check.id for check in CHECKS} - looked_at == {
        "leftover.edge_faults",
        "leftover.table_faults",
    }
    assert {finding.outcome for finding in verification.findings} == {Outcome.FAILED}
    assert all(finding.fix for finding in verification.findings)


def test_the_table_shows_failures_first_and_their_fix():
    console = Console(width=120, record=True)

    verify_cli.print_findings(verify(environment(), [calm, dark, shallow]), console)

    text = console.export_text()
    assert text.index("sea.deep") < text.index("sea.monster") < text.index("sea.calm")
    assert "[shallow]" in text
    assert "Fix: dredge it" in text
    assert "1 passed, 1 failed, 1 unknown" in text


@pytest.fixture
def run(monkeypatch, capsys):
    def run(checks, *arguments):
        monkeypatch.setattr(verify_cli, "environment_from", lambda _: environment())
        monkeypatch.setattr(verify_cli, "verify", lambda given: verify(given, checks))
        parser = argparse.ArgumentParser()
        verify_cli.add_to(parser.add_subparsers())
        options = parser.parse_args(["verify", *arguments])
        return options.run(options), capsys.readouterr().out

    return run


def test_the_exit_code_tells_whether_a_check_failed(run):
    assert run([calm, dark])[0] == ExitCode.PASSED
    assert run([calm, shallow])[0] == ExitCode.CHECK_FAILED


def test_json_is_all_that_is_printed(run):
    code, out = run([calm, shallow], "--json")

    assert code == ExitCode.CHECK_FAILED
    assert json.loads(out)["passed"] is False
