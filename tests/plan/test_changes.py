"""Changes of a deployed stack: what applies in one apply, and what the plan refuses.

The real Terraform and the real AWS provider, against a local AWS that refuses what AWS refuses. A
refusal must come from the plan: nothing may be touched by then.
"""

import re

import pytest
from deployment import DEPLOYED, REGIONS, SHIPPED, Deployment
from test_runbooks import terraform_command

from weather_api.operations import OPERATIONS

pytestmark = [pytest.mark.plan, pytest.mark.exhaustive]

PROTECTION = ("deletion_protection = false", "deletion_protection = true")


@pytest.fixture(scope="module")
def first(aws, tmp_path_factory):
    """An environment, applied once."""
    deployment = Deployment(tmp_path_factory.mktemp("changes"), aws, SHIPPED)
    deployment.synthesize()
    assert deployment.terraform("init", "-input=false").returncode == 0
    deployment.apply()
    return deployment


@pytest.fixture
def deployed(first):
    """The environment, with its configuration as it was deployed."""
    first.synthesize()
    return first


@pytest.fixture
def protected(first):
    """The environment, with a configuration that protects it."""
    first.synthesize(PROTECTION)
    return first


def test_a_second_plan_is_empty_and_a_changed_health_check_applies(deployed):
    assert deployed.changes() is None

    deployed.synthesize(("interval_seconds = 10", "interval_seconds = 10\nfailure_threshold = 2"))
    deployed.apply()

    checks = deployed.client("route53").list_health_checks()["HealthChecks"]
    asked = [c["HealthCheckConfig"] for c in checks if c["HealthCheckConfig"]["Type"] == "HTTPS"]
    assert {(c["FailureThreshold"], len(c["Regions"])) for c in asked} == {(2, 8)}
    assert deployed.changes() is None


def limits(deployed, region):
    gateway = deployed.client("apigateway", region)
    (api,) = gateway.get_rest_apis()["items"]
    stage = gateway.get_stage(restApiId=api["id"], stageName="v1")
    return {path: each["throttlingRateLimit"] for path, each in stage["methodSettings"].items()}


@pytest.mark.parametrize("rate", [100, 150])
def test_limits_of_single_methods_survive_those_of_all(deployed, rate):
    deployed.synthesize(("[table]", f"rate_per_second = {rate}.0\n\n[table]"))

    deployed.apply()

    for region in REGIONS:
        assert limits(deployed, region) == {"*/*": rate} | {
            f"{o.path.replace('/', '~1')}/{o.method}": o.rate_per_second
            for o in OPERATIONS
            if o.name in DEPLOYED and o.rate_per_second
        }
    assert deployed.changes() is None


@pytest.mark.parametrize(
    "kind",
    [
        "aws_api_gateway_gateway_response",
        "aws_api_gateway_integration",
        "aws_api_gateway_stage",
        "aws_dynamodb_table",
        "aws_dynamodb_table_replica",
        "aws_route53_zone",
    ],
)
def test_a_replacement_that_would_lose_something_is_refused(protected, kind):
    address = protected.address(kind)

    refusal = protected.refusal(f"-replace={address}")

    assert f"Resource {address} has lifecycle.prevent_destroy set" in refusal


def test_an_integration_that_is_replaced_without_protection_is_put_by_the_next_apply(deployed):
    """It is put over the old one, which is then deleted: docs/reference/limitations.md."""
    deployed.apply(f"-replace={deployed.address('aws_api_gateway_integration')}")
    assert "1 to add, 0 to change, 0 to destroy" in deployed.changes()

    deployed.apply()

    assert deployed.changes() is None


def test_a_destroy_is_refused_while_the_table_is_protected(protected):
    assert "has lifecycle.prevent_destroy set" in protected.refusal("-destroy")


def test_a_change_of_what_is_fixed_is_accepted_on_purpose(deployed):
    changed = ("create_zone = true", "create_zone = false")
    deployed.synthesize(changed)
    assert "domain.create_zone is true where" in deployed.refusal()

    planned = deployed.terraform(
        "plan", "-input=false", "-replace=terraform_data.deployed_settings"
    )

    assert planned.returncode == 0, planned.stderr


def test_a_replica_that_the_state_lacks_is_imported(deployed):
    """As after a replica that took longer than Terraform waits: docs/how-to/deploy-changes.md."""
    # What other tests have changed is not what this one looks at.
    deployed.apply()
    address = "aws_dynamodb_table_replica.table_us-west-2"
    assert deployed.terraform("state", "rm", address).returncode == 0

    command = terraform_command("deploy-changes.md", "import", address)
    imported = deployed.terraform(*command)

    assert imported.returncode == 0, imported.stderr
    # The state takes up what AWS does not know, such as how long Terraform waits.
    assert " 0 added, " in deployed.apply()
    assert deployed.changes() is None


@pytest.mark.parametrize("role", ["primary", pytest.param("secondary", marks=pytest.mark.soak)])
def test_a_log_group_that_exists_already_is_imported(deployed, role):
    """As after a call to a function while it was destroyed: docs/how-to/deploy-changes.md."""
    deployed.apply()
    address = deployed.address("aws_cloudwatch_log_group", f"{role}_api_get_weather")
    assert deployed.terraform("state", "rm", address).returncode == 0

    refused = deployed.terraform("apply", "-auto-approve", "-input=false")
    assert refused.returncode == 1
    assert "ResourceAlreadyExistsException" in refused.stderr
    assert f"with {address}" in refused.stderr

    _, _, group = terraform_command("deploy-changes.md", "import", "ADDRESS")
    imported = deployed.terraform("import", address, group.replace("trial", "local"))
    assert imported.returncode == 0, imported.stderr
    assert " 0 added, " in deployed.apply()
    assert deployed.changes() is None


@pytest.mark.parametrize("region", [REGIONS[0], pytest.param(REGIONS[1], marks=pytest.mark.soak)])
def test_a_function_is_replaced_in_one_apply_with_its_alias_and_permission(deployed, region):
    role = "primary" if region == REGIONS[0] else "secondary"
    function = deployed.address("aws_lambda_function", f"{role}_api_get_weather")

    deployed.apply(f"-replace={function}")

    policy = deployed.client("lambda", region).get_policy(
        FunctionName="weather-local-get_weather", Qualifier="live"
    )
    assert "api-gateway" in policy["Policy"]
    assert deployed.changes() is None


@pytest.mark.parametrize(
    "kind",
    [
        *("aws_iam_role", "aws_lambda_alias"),
        pytest.param("aws_cloudwatch_log_group", marks=pytest.mark.soak),
        pytest.param("aws_lambda_permission", marks=pytest.mark.soak),
    ],
)
def test_what_a_function_needs_is_replaced_in_one_apply(deployed, kind):
    deployed.apply(f"-replace={deployed.address(kind, 'primary_api_get_weather')}")

    assert deployed.changes() is None


def test_a_changed_interval_replaces_no_check_of_an_evacuation(deployed):
    def checks():
        found = deployed.client("route53").list_health_checks()["HealthChecks"]
        return {
            each["Id"]: each["HealthCheckConfig"].get("RequestInterval")
            for each in found
            if each["HealthCheckConfig"].get("Inverted")
        }

    before = checks()
    deployed.synthesize(("interval_seconds = 10", "interval_seconds = 30"))
    deployed.apply()

    assert checks() == before
    assert deployed.changes() is None


def test_a_lock_file_refuses_another_provider(deployed):
    lock = deployed.stack / ".terraform.lock.hcl"
    locked = lock.read_text()
    readonly = ("init", "-input=false", "-lockfile=readonly")

    assert deployed.terraform(*readonly).returncode == 0
    lock.write_text(re.sub('"h1:[^"]*"', f'"h1:{"x" * 43}="', locked))
    refused = deployed.terraform(*readonly)
    lock.write_text(locked)

    assert refused.returncode == 1
    assert "checksums" in refused.stderr
