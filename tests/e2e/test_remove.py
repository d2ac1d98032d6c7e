"""Destroy, on a deployment of its own: nothing of the stack stays in either Region."""

import pytest
from local_api import REGIONS, Api

from sandbox.workspace import Workspace

pytestmark = pytest.mark.e2e


@pytest.fixture
def own_api(tmp_path):
    api = Api(Workspace(tmp_path))
    try:
        api.up()
        yield api
    finally:
        api.down()


def left_over(api):
    for region in REGIONS:
        client = lambda service, region=region: api.client(service, region)  # noqa: E731
        yield "table", client("dynamodb").list_tables()["TableNames"]
        yield "api", client("apigateway").get_rest_apis()["items"]
        yield "domain name", client("apigateway").get_domain_names()["items"]
        yield "api key", client("apigateway").get_api_keys()["items"]
        yield "usage plan", client("apigateway").get_usage_plans()["items"]
        yield "function", client("lambda").list_functions()["Functions"]
        yield "log group", client("logs").describe_log_groups()["logGroups"]
        yield "certificate", client("acm").list_certificates()["CertificateSummaryList"]
    yield "role", api.client("iam", REGIONS[0]).list_roles()["Roles"]
    yield "policy", api.client("iam", REGIONS[0]).list_policies(Scope="Local")["Policies"]
    yield "zone", api.client("route53", REGIONS[0]).list_hosted_zones()["HostedZones"]
    yield "health check", api.client("route53", REGIONS[0]).list_health_checks()["HealthChecks"]


def test_destroy_leaves_nothing(own_api):
    # GIVEN a deployment that is all there
    assert all(found for _, found in left_over(own_api))

    # WHEN it is destroyed
    destroyed = own_api.terraform("destroy", "-auto-approve", "-input=false", "-no-color")

    # THEN nothing is left but a state without resources
    assert destroyed.returncode == 0, destroyed.stderr
    assert [(kind, found) for kind, found in left_over(own_api) if found] == []
    assert own_api.terraform("state", "list").stdout == ""
