"""Every option of hardening, on a sandbox that enforces IAM."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from local_api import REGIONS, run_ops
from parliament import analyze_policy_string

from ops.fault_injection import Fault
from ops.verify import CHECKS
from ops.verify.finding import Outcome

pytestmark = pytest.mark.e2e

PATIENCE_SECONDS = 300


@pytest.fixture(params=REGIONS)
def region(request):
    return request.param


def test_a_second_plan_shows_no_change(hardened):
    plan = hardened.terraform("plan", "-input=false", "-detailed-exitcode", "-no-color")

    assert plan.returncode == 0, plan.stdout[-3000:]


def test_verify_finds_everything_in_place(hardened):
    command = ("verify", "--folder", str(hardened.workspace.folder), "--json")
    # The first one starts cold functions, on a machine that may be busy.
    run_ops(*command)
    verified = run_ops(*command)

    assert verified.returncode == 0, verified.stdout
    report = json.loads(verified.stdout)
    assert report["passed"]
    found = {check: [] for check in ("certificate.served", "key.state")}
    for finding in report["findings"]:
        found.get(finding["check"], []).append(finding["found"])
    assert [text.split(",")[0] for text in found["certificate.served"]] == [
        f"served for {name}"
        for region in REGIONS
        for name in ("weather.example.com", f"{region}.weather.example.com")
    ]
    assert all(": Enabled, multi-Region" in text for text in found["key.state"]), found


def test_a_key_that_is_disabled_is_named(hardened, region):
    kms = hardened.client("kms", region)
    key = kms.describe_key(KeyId="alias/weather-local")["KeyMetadata"]["Arn"]
    (check,) = [check for check in CHECKS if check.id == "key.state"]
    kms.disable_key(KeyId=key)
    try:
        findings = check.run(hardened.local.environment)
    finally:
        kms.enable_key(KeyId=key)

    failed = {each.subject: each.found for each in findings if each.outcome is Outcome.FAILED}
    assert failed == {region: f"the state of its key {key} is Disabled"}


def test_the_host_name_that_aws_gives_answers_nobody(hardened, region):
    host = f"{hardened.outputs.api_ids[region]}.execute-api.{region}.amazonaws.com"

    answer = hardened.local.network.request("GET", f"https://{host}/v1/health")

    assert (answer.status, answer.json) == (403, {"message": "Forbidden"})


def test_each_region_answers_by_its_own_name_and_only_there(hardened, region):
    assert hardened.by_name("GET", region, "/health").json == {"status": "ok", "region": region}

    other = next(r for r in REGIONS if r != region)
    address = hardened.local.network.hosts[f"{other}.weather.example.com"][0]
    refused = hardened.local.network.request(
        "GET", f"https://{region}.weather.example.com/v1/health", address=address
    )
    assert not refused.ok


def test_dns_leads_each_regions_name_to_it(hardened, region):
    network = hardened.local.network
    answer = network.resolve(f"{region}.weather.example.com")

    assert answer.addresses == (network.hosts[f"{region}.weather.example.com"][0],)


def test_table_replica_and_logs_use_the_key_of_their_region(hardened, region):
    key = hardened.client("kms", region).describe_key(KeyId="alias/weather-local")["KeyMetadata"]
    table = hardened.client("dynamodb", region).describe_table(
        TableName=hardened.outputs.table_name
    )["Table"]
    groups = hardened.client("logs", region).describe_log_groups()["logGroups"]

    assert key["MultiRegion"]
    assert f":kms:{region}:" in key["Arn"]
    assert table["SSEDescription"]["KMSMasterKeyArn"] == key["Arn"]
    assert {group["kmsKeyId"] for group in groups} == {key["Arn"]}


def test_the_web_acl_stands_before_the_stage_and_lets_the_checkers_pass_first(hardened, region):
    waf = hardened.client("wafv2", region)
    api = hardened.outputs.api_ids[region]
    stage = f"arn:aws:apigateway:{region}::/restapis/{api}/stages/v1"

    acl = waf.get_web_acl_for_resource(ResourceArn=stage)["WebACL"]

    first, *_ = sorted(acl["Rules"], key=lambda rule: rule["Priority"])
    assert first["Action"] == {"Allow": {}}
    addresses = first["Statement"]["IPSetReferenceStatement"]["ARN"]
    name, id = addresses.split("/")[-2:]
    checkers = waf.get_ip_set(Name=name, Scope="REGIONAL", Id=id)["IPSet"]["Addresses"]
    # The local AWS makes them up; on AWS they are Route 53's.
    assert checkers


def policies(api):
    """`(address, policy)` of everything that gives permissions, as it was applied."""
    state = json.loads(api.terraform("show", "-json").stdout)
    for resource in state["values"]["root_module"]["resources"]:
        if resource["type"] in ("aws_iam_role_policy", "aws_iam_policy"):
            yield resource["address"], json.loads(resource["values"]["policy"])


def listed(value):
    return value if isinstance(value, list) else [value]


STREAM = "arn:*:dynamodb:*:*:table/*/stream/*"
"""The linter wants a stream beside the table whose resource policy experiments change."""


def is_about_a_stream(finding):
    mismatch = finding.issue == "RESOURCE_MISMATCH"
    return mismatch and {each["required_format"] for each in finding.detail} == {STREAM}


def findings(policy):
    """What the linter finds in a policy."""
    found = analyze_policy_string(json.dumps(policy)).findings
    return [str(finding) for finding in found if not is_about_a_stream(finding)]


def test_the_linter_finds_nothing_in_any_policy(hardened):
    applied = dict(policies(hardened))

    found = {address: findings(policy) for address, policy in applied.items()}

    assert len(applied) > 30
    assert {address: findings for address, findings in found.items() if findings} == {}


def test_the_linter_would_find_a_wrong_resource_and_a_misspelled_action():
    table = "arn:aws:dynamodb:us-east-1:111122223333:table/weather"
    for action in ("logs:PutLogEvents", "dynamodb:GetItems"):
        statement = {"Effect": "Allow", "Action": [action], "Resource": [table]}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        assert findings(policy), action


WITHOUT_RESOURCES = (
    {"xray:PutTelemetryRecords", "xray:PutTraceSegments"},
    {
        "logs:CreateLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
        "logs:PutResourcePolicy",
    },
)  # fmt: skip
"""Traces, and the log of experiments: AWS has no finer grain."""


def test_no_policy_has_a_wildcard_but_for_traces_and_logs_and_none_reaches_another_region(hardened):
    for address, policy in policies(hardened):
        for statement in policy["Statement"]:
            actions, resources = listed(statement["Action"]), listed(statement["Resource"])
            assert not [action for action in actions if "*" in action], address
            if resources == ["*"]:
                assert set(actions) in WITHOUT_RESOURCES, address
                continue
            regions = {resource.split(":")[3] for resource in resources}
            if ".primary_" in address or ".secondary_" in address:
                assert regions == {REGIONS[".secondary_" in address]}, address
            else:
                assert "publisher" in address
                assert regions <= set(REGIONS)


def test_alarms_and_dashboard_are_in_their_regions(hardened, region):
    cloudwatch = hardened.client("cloudwatch", region)
    alarms = cloudwatch.describe_alarms(MaxRecords=100)["MetricAlarms"]

    of_health = [alarm for alarm in alarms if alarm.get("Namespace") == "AWS/Route53"]
    # Of each Region: that it is unhealthy, that it has been for hours, that it is evacuated.
    assert len(of_health) == (6 if region == "us-east-1" else 0)
    of_secondary = [alarm for alarm in alarms if alarm["AlarmName"].endswith("secondary-serves")]
    assert len(of_secondary) == (1 if region == REGIONS[1] else 0)
    assert len(alarms) == 42 + len(of_health) + len(of_secondary)
    (topic,) = hardened.client("sns", region).list_topics()["Topics"]
    assert {action for alarm in alarms for action in alarm["AlarmActions"]} == {topic["TopicArn"]}
    if region == "us-east-1":
        (dashboard,) = cloudwatch.list_dashboards()["DashboardEntries"]
        assert dashboard["DashboardName"] == "weather-local"


def served(hardened, region):
    """How many invocations the alarm of the secondary has to look at."""
    cloudwatch = hardened.client("cloudwatch", region)
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["weather-local-secondary-serves"])[
        "MetricAlarms"
    ]
    now = datetime.now(UTC)
    return sum(
        point["Sum"]
        for query in alarm["Metrics"]
        if "MetricStat" in query
        for point in cloudwatch.get_metric_statistics(
            **query["MetricStat"]["Metric"], Statistics=[query["MetricStat"]["Stat"]],
            StartTime=now - timedelta(hours=1), EndTime=now + timedelta(minutes=1), Period=3600,
        )["Datapoints"]
    )  # fmt: skip


def test_the_alarm_of_the_secondary_looks_at_its_customers(hardened):
    before, key = served(hardened, REGIONS[1]), {"x-api-key": hardened.local.api_key}

    for _ in range(3):
        answer = hardened.by_name("GET", REGIONS[1], "/locations", key)
        assert answer.status == 200

    assert served(hardened, REGIONS[1]) >= before + 3


@pytest.mark.soak
def test_a_fault_turns_the_alarm_of_the_health_check_that_it_breaks(hardened):
    cloudwatch = hardened.client("cloudwatch", "us-east-1")
    alarms = [f"weather-local-health-of-{region}" for region in REGIONS]

    def wait_for(*states):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := tuple(map(state, alarms))) != states:
            assert time.monotonic() < deadline, found
            time.sleep(0.2)

    def state(alarm):
        [found] = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
        return found["StateValue"]

    wait_for("OK", "OK")
    # Held until the alarm goes off: a drill may end before that.
    with hardened.local.environment.fault_injection.injected(Fault(REGIONS[0], "refuse")):
        wait_for("ALARM", "OK")
    wait_for("OK", "OK")
