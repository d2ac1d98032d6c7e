"""`verify` runs every check, and the form of its report is a contract."""

import json

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from fake_environment import EAST, FAILBACK, WEST, environment
from fake_fis import TEMPLATE_IDS
from rich.console import Console

from ops.__main__ import main
from ops.cli import verify as verify_cli
from ops.errors import ExitCode, OpsError
from ops.verify import CHECKS, verify
from ops.verify.finding import Outcome, check, failed, passed, region_check, unknown

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
def raising(_):
    yield passed("sun", "shines")
    raise KeyError("moon")


@region_check("region.alive")
def unreachable_in_the_east(_, region):
    if region == EAST:
        raise EndpointConnectionError(endpoint_url="https://unreachable.example")
    yield passed(region, "alive")


def test_every_finding_has_the_id_of_its_check():
    assert [finding.check for finding in verify(environment(), [calm, dark]).findings] == [
        "sea.calm",
        "sea.monster",
    ]


def test_an_exception_of_a_check_is_a_failed_finding_after_its_other_findings():
    sun, moon = verify(environment(), [raising]).findings

    assert sun.outcome is Outcome.PASSED
    assert moon.outcome is Outcome.FAILED
    assert moon.check == "sky.clear"
    assert moon.found == "KeyError: 'moon'"
    assert moon.fix


def test_a_region_that_is_down_does_not_hide_the_others():
    east, west = verify(environment(), [unreachable_in_the_east]).findings

    assert (east.subject, east.outcome) == (EAST, Outcome.UNKNOWN)
    assert "https://unreachable.example" in east.found
    assert (west.subject, west.outcome) == (WEST, Outcome.PASSED)


@pytest.mark.parametrize(
    ("error", "found", "fix"),
    [
        (
            OpsError("the endpoints are down", next_step="start them"),
            "the endpoints are down",
            "start them",
        ),
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetStage"),
            "AccessDenied",
            "sign in with a role that allows this request",
        ),
        (TimeoutError("timed out"), "TimeoutError: timed out", "check that the Region responds"),
    ],
)
def test_an_exception_of_a_check_is_reported_with_a_next_step(error, found, fix):
    @check("some.thing")
    def raising_check(_):
        raise error
        yield

    (finding,) = verify(environment(), [raising_check]).findings

    assert found in finding.found
    assert fix in finding.fix


def test_an_unknown_state_is_not_a_failure():
    assert verify(environment(), [calm, dark]).passed
    assert not verify(environment(), [calm, dark, shallow]).passed


def test_the_keys_of_the_report_are_a_contract():
    report = verify(environment(), [calm, shallow, dark]).to_json()

    assert list(report) == [
        "version", "environment", "checked_at", "seconds", "passed", "summary", "findings",
    ]  # fmt: skip
    assert report["summary"] == {"passed": 1, "failed": 1, "unknown": 1}
    assert report["findings"][:2] == [
        {
            "check": "sea.calm", "subject": "sea", "outcome": "passed", "found": "calm", "fix": "",
            "measured": {"waves_m": 0.1}, "unreadable": False,
        },
        {
            "check": "sea.deep", "subject": "sea", "outcome": "failed", "found": "[shallow]",
            "fix": "dredge it", "measured": {}, "unreadable": False,
        },
    ]  # fmt: skip


def test_the_ids_of_the_checks_are_a_contract():
    assert [check.id for check in CHECKS] == [
        "leftover.evacuation",
        "fence.state",
        "leftover.faults",
        "leftover.health_function",
        "leftover.weight",
        "leftover.experiment",
        "leftover.lock",
        "leftover.drill",
        "dns.records",
        "dns.answer",
        "zone.recovery",
        "zone.query_log",
        "failback.records",
        "failback.answer",
        "failback.mark",
        "health_check.target",
        "health_check.evacuation",
        "health_check.record",
        "health_check.checkers",
        "health_check.state",
        "certificate.issued",
        "certificate.served",
        "tls.version",
        "tls.policy",
        "region.url",
        "region.domain",
        "region.api_key",
        "table.replication",
        "table.replicas",
        "table.consistency",
        "table.protection",
        "table.parity",
        "key.state",
        "parity.routes",
        "parity.functions",
        "parity.stage",
        "parity.api_keys",
        "parity.usage_plans",
        "release.regions",
        "release.unfinished",
        "experiment.templates",
        "experiment.role",
        "quota.parity",
        "capacity.headroom",
        "capacity.limits",
        "capacity.provisioned",
        "provider.lock",
    ]


def test_every_check_says_what_it_checks():
    assert [check.id for check in CHECKS if not check.description.endswith(".")] == []


def test_a_total_outage_of_aws_shows_no_traceback(monkeypatch):
    unreachable_aws = environment(
        {
            (service, region): EndpointConnectionError(endpoint_url=f"https://{service}.example")
            for service in (
                "acm",
                "apigateway",
                "cloudwatch",
                "dynamodb",
                "fis",
                "lambda",
                "route53",
            )
            for region in (EAST, WEST)
        },
        outputs={
            "failback": FAILBACK,
            "fencing": {"after_seconds": 180},
            "experiment_template_ids": TEMPLATE_IDS,
        },
    )

    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("socket.getaddrinfo", unreachable)

    verification = verify(unreachable_aws)

    checked = {finding.check for finding in verification.findings}
    assert {check.id for check in CHECKS} - checked == {"leftover.faults"}
    # The journal, the lock file and releases are read from this machine.
    here = ("journal", "lock file", "releases")
    found = [finding for finding in verification.findings if finding.subject not in here]
    assert not [finding for finding in found if finding.outcome is not Outcome.UNKNOWN]
    assert all(finding.unreadable for finding in found)
    assert not verification.passed
    assert all(finding.fix for finding in found)


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
        dead = EndpointConnectionError(endpoint_url="https://dead.example")
        unknown = environment({("sts", WEST): dead, ("dynamodb", WEST): dead})
        monkeypatch.setattr(verify_cli, "environment_from", lambda _: unknown)
        monkeypatch.setattr(verify_cli, "verify", lambda given, **_: verify(given, checks))
        code = main(["verify", "--environment", "production", *arguments])
        return code, capsys.readouterr().out

    return run


def test_the_exit_code_reports_whether_a_check_failed(run):
    assert run([calm, dark])[0] == ExitCode.PASSED
    assert run([calm, shallow])[0] == ExitCode.CHECK_FAILED


def test_json_is_all_that_is_printed(run):
    code, out = run([calm, shallow], "--json")

    assert code == ExitCode.CHECK_FAILED
    assert json.loads(out)["passed"] is False
