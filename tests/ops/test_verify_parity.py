"""A difference between Regions is reported with its setting, and without secrets."""

import json

import pytest
from fake_environment import EAST, WEST, Canned, environment

from ops.verify import leftovers, parity
from ops.verify.api_gateway import routes_of
from ops.verify.comparison import Hidden, compared, differences
from ops.verify.finding import Outcome

pytestmark = pytest.mark.unit

VALUE, OTHER_VALUE = "value-one-1234567890abcdef", "value-two-1234567890abcdef"


def found(findings):
    return [f.found for f in findings if f.outcome is Outcome.FAILED]


def test_differences_name_the_setting_and_both_values():
    assert list(differences(EAST, {"timeout s": 3, "x": 1}, WEST, {"timeout s": 5, "y": 2})) == [
        "timeout s: 3 in us-east-1, 5 in us-west-2",
        "x: 1 in us-east-1, nothing in us-west-2",
        "y: nothing in us-east-1, 2 in us-west-2",
    ]


@pytest.mark.parametrize("kind", [str, Hidden, lambda arn: {"arns": [arn]}])
def test_a_regions_own_name_is_no_difference(kind):
    east, west = ({"arn": kind(f"arn:aws:logs:{region}:1")} for region in (EAST, WEST))

    assert not list(differences(EAST, east, WEST, west))
    assert list(differences(EAST, east, WEST, east))


@pytest.mark.parametrize("kind", [str, Hidden])
def test_a_value_that_names_both_regions_has_to_be_the_same(kind):
    urls = {"urls": kind(f"{EAST} {WEST}")}

    assert not list(differences(EAST, urls, WEST, urls))
    assert list(differences(EAST, urls, WEST, {"urls": kind(f"{WEST} {EAST}")}))


def test_a_hidden_value_is_compared_and_not_shown():
    (difference,) = differences(EAST, {"v": Hidden(VALUE)}, WEST, {"v": Hidden(OTHER_VALUE)})

    assert VALUE not in difference
    assert OTHER_VALUE not in difference


def test_many_differences_are_counted():
    settings = {EAST: {str(n): n for n in range(9)}, WEST: {}}

    (finding,) = compared(
        environment(), lambda _, region: settings[region], subject="routes", fix="deploy"
    )

    assert finding.found.endswith("; and 5 more")


def test_two_regions_without_settings_do_not_pass():
    (finding,) = compared(environment(), lambda *_: {}, subject="routes", fix="deploy")
    (permitted,) = compared(
        environment(), lambda *_: {}, subject="usage plans", fix="deploy", may_be_empty=True
    )

    assert finding.outcome is Outcome.FAILED
    assert permitted.outcome is Outcome.UNKNOWN


def test_regions_that_have_lost_the_same_keys_do_not_pass():
    none = {"get_api_keys": {"items": []}}
    given = environment(
        {("apigateway", region): gateway(region, **none) for region in (EAST, WEST)}
    )

    failures = found(parity.api_keys.run(given))

    assert len(failures) == 2
    assert all("1 of the keys that were deployed are missing, such as" in f for f in failures)


def test_a_region_that_cannot_be_read_is_a_failure_of_its_own():
    def read(_, region):
        if region == EAST:
            raise OSError("unreachable")
        return {"x": 1}

    (finding,) = compared(environment(), read, subject="routes", fix="deploy")

    assert (finding.subject, finding.outcome) == (EAST, Outcome.FAILED)


def gateway(region="", **changes):
    method = {
        "authorizationType": "NONE", "apiKeyRequired": True, "requestValidatorId": "v",
        "requestParameters": {"method.request.querystring.limit": False},
        "requestModels": {"application/json": "Body"},
        "methodIntegration": {
            "type": "AWS_PROXY", "timeoutInMillis": 29000,
            "uri": f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/"
            f"arn:aws:lambda:{region}:1:function:list_locations:live/invocations",
        },
    }  # fmt: skip
    key = "key-east" if region == EAST else "key-west"
    operations = {
        "get_resources": {
            "items": [{"path": "/"}, {"path": "/locations", "resourceMethods": {"GET": method}}]
        },
        "get_request_validators": {
            "items": [
                {"id": "v", "validateRequestBody": True, "validateRequestParameters": True}
            ]
        },
        "get_models": {"items": [{"name": "Body", "schema": json.dumps({"type": "object"})}]},
        "get_gateway_responses": {
            "items": [
                {
                    "responseType": "THROTTLED", "statusCode": "429",
                    "responseTemplates": {"application/json": region}, "defaultResponse": False,
                }
            ]
        },
        "get_stage": {
            "tracingEnabled": True,
            "methodSettings": {"*/*": {"throttlingRateLimit": 1}},
        },
        "get_usage_plans": {
            "items": [
                {
                    "id": "p", "name": "weather", "throttle": {"rateLimit": 100.0},
                    "apiStages": [{"apiId": "east" if region == EAST else "west", "stage": "v1"}],
                },
                {"id": "q", "name": "another API's", "apiStages": [{"apiId": "z", "stage": "v1"}]},
            ]
        },
        "get_usage_plan_keys": {"items": [{"id": key}]},
        "get_api_keys": {
            "items": [
                {"id": key, "name": "shop", "value": VALUE, "enabled": True},
                {"id": "z", "name": "stranger", "value": region * 5, "enabled": True},
            ]
        },
    }  # fmt: skip
    return Canned(**(operations | changes))


def both(**changes):
    """Two Regions alike, but for changed operations of the second."""
    return environment(
        {("apigateway", EAST): gateway(EAST), ("apigateway", WEST): gateway(WEST, **changes)}
    )


def test_a_route_is_read_with_its_function():
    (name, route), *others = routes_of(both(), EAST).items()

    assert not others
    assert name == "GET /locations"
    assert route.key_required
    assert (route.function, route.alias) == ("list_locations", "live")


@pytest.mark.parametrize(
    "check", [parity.routes, parity.stage, parity.api_keys, parity.usage_plans], ids=lambda c: c.id
)
def test_regions_of_one_stack_have_no_differences(check):
    findings = check.run(both())

    assert not found(findings)
    assert findings


@pytest.mark.parametrize(
    ("check", "changes", "expected"),
    [
        (parity.routes, {"get_resources": {"items": []}}, "GET /locations, exists: True in us-e"),
        (parity.routes, {"get_request_validators": {"items": []}}, "validates body: True in"),
        (parity.routes, {"get_models": {"items": []}}, "model of application/json: "),
        (parity.routes, {"get_gateway_responses": {"items": []}}, "gateway response THROTTLED"),
        (parity.stage, {"get_stage": {}}, "tracing: True in us-east-1, False in us-west-2"),
        (
            parity.usage_plans,
            {
                "get_usage_plans": {
                    "items": [
                        {
                            "id": "p", "name": "weather", "throttle": {"rateLimit": 1.0},
                            "apiStages": [{"apiId": "west", "stage": "v1"}],
                        }
                    ]
                }
            },
            "plan weather, throttle rateLimit: 100.0 in us-east-1, 1.0 in us-west-2",
        ),
        (
            parity.api_keys,
            {"get_usage_plan_keys": {"items": []}},
            "the key shop of us-east-1 is missing here",
        ),
        (
            parity.api_keys,
            {
                "get_api_keys": {
                    "items": [
                        {"id": "key-west", "name": "shop", "value": VALUE, "enabled": False}
                    ]
                }
            },
            "the key shop is disabled here, and enabled in us-east-1",
        ),
        (
            parity.api_keys,
            {
                "get_api_keys": {
                    "items": [
                        {
                            "id": "key-west", "name": "shop", "value": OTHER_VALUE,
                            "enabled": True,
                        }
                    ]
                }
            },
            "the key shop of us-east-1 has another value here",
        ),
    ],
)  # fmt: skip
def test_a_region_that_differs_is_reported(check, changes, expected):
    failures = found(check.run(both(**changes)))

    assert any(expected in failure for failure in failures), failures
    assert not any(VALUE in failure or OTHER_VALUE in failure for failure in failures)


def function(**changes):
    configuration = {
        "CodeSha256": "abc", "Runtime": "python3.13", "Timeout": 3,
        "Environment": {"Variables": {"TOKEN": VALUE}},
    }  # fmt: skip
    reserved = changes.pop("reserved", {})

    def get_function_configuration(FunctionName, Qualifier):  # noqa: N803
        assert (FunctionName, Qualifier) == ("list_locations", "live")
        return configuration | changes

    return Canned(
        get_function_configuration=get_function_configuration, get_function_concurrency=reserved
    )


def test_a_weight_that_gives_requests_to_another_version_is_a_leftover():
    alias = {"FunctionVersion": "7"}
    weighted = alias | {"RoutingConfig": {"AdditionalVersionWeights": {"8": 0.1}}}
    clients = dict(both().clients)
    clients |= {
        ("lambda", EAST): Canned(get_alias=alias), ("lambda", WEST): Canned(get_alias=weighted),
    }  # fmt: skip

    east, west = leftovers.weight.run(environment(clients))

    assert (east.outcome, east.found) == (
        Outcome.PASSED, "each of 1 aliases points to one version",
    )  # fmt: skip
    assert west.outcome == Outcome.FAILED
    assert west.found == (
        "GET /locations: version 8 gets 10% of the requests, version 7 the others"
    )
    assert west.fix == (
        "aws lambda update-alias --region us-west-2 --function-name list_locations --name live "
        "--routing-config AdditionalVersionWeights={}"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"CodeSha256": "xyz"}, "GET /locations, code SHA-256: abc in us-east-1, xyz in us-west-2"),
        ({"Timeout": 9}, "timeout s: 3 in us-east-1, 9 in us-west-2"),
        ({"Environment": {"Variables": {"TOKEN": OTHER_VALUE}}}, "variable TOKEN: a hidden value"),
        ({"reserved": {"ReservedConcurrentExecutions": 0}}, "reserved concurrency: none in us-eas"),
    ],
)
def test_functions_are_compared_with_their_code_and_limits(changes, expected):
    clients = dict(both().clients)
    clients |= {("lambda", EAST): function(), ("lambda", WEST): function(**changes)}

    failures = found(parity.functions.run(environment(clients)))

    assert bool(failures) is bool(expected)
    assert expected is None or expected in failures[0]
    assert not any(OTHER_VALUE in failure for failure in failures)
