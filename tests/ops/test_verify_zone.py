"""What `verify` says of the hosted zone itself."""

from types import SimpleNamespace

import pytest
from botocore.model import ServiceModel
from botocore.session import get_session
from botocore.stub import Stubber
from fake_environment import EAST, Canned, environment

from ops.verify import zone
from ops.verify.finding import Outcome

pytestmark = pytest.mark.unit

GROUP = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/route53/example.com"


def recovery(features, **outputs):
    """The finding, where boto3 reads what Route 53 responds with."""
    given = environment(outputs=outputs)
    route53 = given.client("route53", EAST)
    found = {"Id": "/hostedzone/Z1", "Name": "example.com.", "CallerReference": "x"}
    with Stubber(route53) as stub:
        stub.add_response(
            "get_hosted_zone",
            {"HostedZone": found | ({"Features": features} if features else {})},
            {"Id": "Z1"},
        )
        (finding,) = zone.recovery.run(environment({("route53", EAST): route53}, outputs=outputs))
    return finding


@pytest.mark.parametrize("status", ["ENABLED", "DISABLED", None])
def test_whether_a_zone_has_recovery_is_reported_where_nobody_asked_for_it(status):
    finding = recovery({"AcceleratedRecoveryStatus": status} if status else None)

    assert finding.outcome is Outcome.PASSED
    assert finding.found == f"accelerated recovery: {status or 'DISABLED'}"


@pytest.mark.parametrize(
    ("status", "wanted", "outcome"),
    [
        ("ENABLED", True, Outcome.PASSED),
        ("DISABLED", True, Outcome.FAILED),
        ("ENABLE_FAILED", True, Outcome.FAILED),
        ("DISABLE_FAILED", None, Outcome.FAILED),
        ("ENABLING", True, Outcome.UNKNOWN),
        ("ENABLING_HOSTED_ZONE_LOCKED", True, Outcome.UNKNOWN),
        ("DISABLING", None, Outcome.UNKNOWN),
    ],
)
def test_recovery_that_is_missing_or_failed_is_a_failure(status, wanted, outcome):
    finding = recovery({"AcceleratedRecoveryStatus": status}, accelerated_recovery=wanted)

    assert (finding.outcome, finding.unreadable) == (outcome, False)
    assert status in finding.found
    if outcome is Outcome.FAILED:
        assert "--hosted-zone-id Z1" in finding.fix


def test_the_reason_of_a_failure_is_reported():
    finding = recovery(
        {
            "AcceleratedRecoveryStatus": "ENABLE_FAILED",
            "FailureReasons": {"AcceleratedRecovery": "the zone is too large"},
        },
        accelerated_recovery=True,
    )

    assert finding.found == "accelerated recovery: ENABLE_FAILED (the zone is too large)"


def test_this_boto3_reports_it():
    assert zone.reports_features(get_session())


def test_a_boto3_that_is_too_old_is_named(monkeypatch):
    """It drops what its model does not have, whatever Route 53 responds with."""
    old = ServiceModel({"shapes": {"HostedZone": {"type": "structure", "members": {}}}})
    monkeypatch.setattr(
        zone, "get_session", lambda: SimpleNamespace(get_service_model=lambda _: old)
    )
    finding = recovery(None, accelerated_recovery=True)

    assert finding.outcome is Outcome.UNKNOWN
    assert "the boto3 of this machine does not report accelerated recovery" in finding.found


@pytest.mark.parametrize(
    ("groups", "wanted", "outcome", "found"),
    [
        ([], None, Outcome.PASSED, "queries are not logged"),
        ([GROUP], None, Outcome.PASSED, f"queries are logged in {GROUP}"),
        ([GROUP], GROUP, Outcome.PASSED, f"queries are logged in {GROUP}"),
        # AWS writes ARNs of log groups with and without it.
        ([f"{GROUP}:*"], GROUP, Outcome.PASSED, f"queries are logged in {GROUP}"),
        ([], GROUP, Outcome.FAILED, f"queries are not logged in {GROUP}, but in none"),
        ([f"{GROUP}2"], GROUP, Outcome.FAILED, f"not logged in {GROUP}, but in {GROUP}2"),
    ],
)
def test_where_queries_are_logged_is_compared_with_the_stack(groups, wanted, outcome, found):
    configurations = [{"CloudWatchLogsLogGroupArn": group} for group in groups]
    route53 = Canned(list_query_logging_configs={"QueryLoggingConfigs": configurations})
    (finding,) = zone.query_log.run(
        environment({("route53", EAST): route53}, outputs={"query_log_group_arn": wanted})
    )

    assert finding.outcome is outcome
    assert found in finding.found
    assert route53.calls == [("list_query_logging_configs", {"HostedZoneId": "Z1"})]
