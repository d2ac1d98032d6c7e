"""New versions get a share of the requests, then all; or the former ones get them again."""

import json

import pytest
from botocore.exceptions import ClientError
from fake_environment import EAST, WEST, Canned, environment

from ops.deploy.alarms import alarms_on
from ops.deploy.aliases import Aliases, hold_aliases
from ops.errors import OpsError
from ops.verify.capacity import NOT_PROVISIONED

pytestmark = pytest.mark.unit

STACK = f"production-{WEST}"
METHODS = {
    path: {
        "authorizationType": "NONE",
        "methodIntegration": {
            "uri": f"arn:aws:lambda:{WEST}:1:function:{name}:live/invocations",
        },
    }
    for path, name in (("/a", "read"), ("/b", "write"), ("/b/{c}", "write"))
}


class Functions:
    """Lambda in one Region, with the newest versions that the test publishes."""

    def __init__(self, **newest):
        self.newest = newest
        self.aliases = {name: {"FunctionVersion": "9"} for name in newest}
        self.metrics, self.asked, self.status = {}, [], "Complete"
        self.provisioned = {}
        """`{function: what Lambda says of its provisioned concurrency, one after the other}`."""

    def environment(self):
        client = Canned(
            get_alias=lambda **request: self.aliases[request["FunctionName"]],
            list_versions_by_function=self._versions,
            update_alias=self._update,
            get_provisioned_concurrency_config=self._config,
        )
        resources = [{"path": path, "resourceMethods": {"GET": m}} for path, m in METHODS.items()]
        nothing = {"items": []}
        api = Canned(
            get_resources={"items": resources}, get_models=nothing, get_request_validators=nothing,
        )  # fmt: skip
        metrics = Canned(get_metric_data=self._metrics)
        return environment(
            {("lambda", WEST): client, ("apigateway", WEST): api, ("cloudwatch", WEST): metrics}
        )

    def _versions(self, **request):
        numbers = range(8, self.newest[request["FunctionName"]] + 1)
        return {"Versions": [{"Version": str(each)} for each in ("$LATEST", *numbers)]}

    def _update(self, **request):
        assert request["Name"] == "live"
        others = request["RoutingConfig"]["AdditionalVersionWeights"]
        name = request["FunctionName"]
        if name in self.provisioned:
            assert not others, "AWS refuses weights"
            others = {self.aliases[name]["FunctionVersion"]: 1.0}
        self.aliases[name] = weights(request["FunctionVersion"], **others)

    def _config(self, **request):
        name = request["FunctionName"]
        if name not in self.provisioned:
            raise ClientError({"Error": {"Code": NOT_PROVISIONED}}, "Get")
        status, *rest = self.provisioned[name]
        self.provisioned[name] = rest or [status]
        if status == "READY" and not rest:
            # Lambda removes the weight that it has set.
            self.aliases[name].pop("RoutingConfig", None)
        return {
            "Status": status, "StatusReason": "it does not start",
            "RequestedProvisionedConcurrentExecutions": 3,
        }  # fmt: skip

    def _metrics(self, **request):
        results = []
        for query in request["MetricDataQueries"]:
            metric = query["MetricStat"]["Metric"]
            dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
            name, version = dimensions["FunctionName"], dimensions["ExecutedVersion"]
            assert dimensions["Resource"] == f"{name}:live"
            values = self.metrics.get((name, version, metric["MetricName"]), [])
            results.append({"Id": query["Id"], "Values": values, "StatusCode": self.status})
        # In whatever order.
        return {"MetricDataResults": results[::-1]}


def weights(version, **others):
    config = {"RoutingConfig": {"AdditionalVersionWeights": others}} if others else {}
    return {"FunctionVersion": version} | config


def test_new_versions_get_a_share_and_then_all_requests():
    functions = Functions(read=10, write=9)
    aliases = Aliases(functions.environment())

    assert aliases.share(WEST, 0.1) == 1
    assert functions.aliases == {"read": weights("9", **{"10": 0.1}), "write": weights("9")}

    aliases.release(WEST)
    assert functions.aliases == {"read": weights("10"), "write": weights("9")}


def test_an_alias_with_provisioned_concurrency_gets_no_share_and_is_waited_for():
    functions = Functions(read=10, write=10)
    functions.provisioned["read"] = ["READY"]
    slept = []
    aliases = Aliases(functions.environment(), sleep=slept.append)

    assert aliases.share(WEST, 0.1) == 1
    assert functions.aliases["read"] == weights("9")

    # It is READY for the version before at first.
    functions.provisioned["read"] = ["READY", "IN_PROGRESS", "IN_PROGRESS", "READY"]
    aliases.release(WEST)
    assert functions.aliases == {"read": weights("10"), "write": weights("10")}
    assert len(slept) == 3


def test_a_weight_of_lambdas_own_is_not_removed_but_waited_for():
    functions = Functions(read=10, write=9)
    functions.aliases["read"] = weights("10", **{"9": 1.0})
    functions.provisioned["read"] = ["IN_PROGRESS", "IN_PROGRESS", "READY"]
    slept = []

    Aliases(functions.environment(), sleep=slept.append).release(WEST)

    assert functions.aliases["read"] == weights("10")
    assert slept


@pytest.mark.parametrize(
    ("status", "problem", "sleeps"),
    [("FAILED", "it does not start", 0), ("IN_PROGRESS", "0 of 3 are available", 1800)],
)
def test_provisioned_concurrency_that_does_not_come_is_an_error(status, problem, sleeps):
    functions = Functions(read=10, write=9)
    functions.provisioned["read"] = [status]
    slept = []
    aliases = Aliases(functions.environment(), sleep=slept.append)

    with pytest.raises(OpsError, match=problem):
        aliases.release(WEST)
    assert len(slept) == sleeps
    # And the version before serves again.
    functions.provisioned = {}
    aliases.restore(STACK)
    assert functions.aliases["read"] == weights("9")


def test_versions_that_have_not_all_requests_are_known():
    assert Aliases(Functions(read=10, write=9).environment()).has_unserved(STACK)
    assert not Aliases(Functions(read=9, write=9).environment()).has_unserved(STACK)
    assert not Aliases(environment()).has_unserved("production-data")


def test_the_former_versions_get_all_requests_again_at_any_moment():
    functions = Functions(read=10, write=10)
    aliases = Aliases(functions.environment())
    former = {"read": weights("9"), "write": weights("9")}

    aliases.share(WEST, 0.5)
    aliases.restore(STACK)
    assert functions.aliases == former

    aliases.share(WEST, 0.5)
    aliases.release(WEST)
    aliases.restore(STACK)
    assert functions.aliases == former


def test_whoever_has_not_begun_a_release_takes_its_share_away():
    functions = Functions(read=10, write=10)
    Aliases(functions.environment()).share(WEST, 0.5)

    Aliases(functions.environment()).restore(STACK)

    assert functions.aliases == {"read": weights("9"), "write": weights("9")}


def test_a_stack_without_functions_has_no_aliases():
    assert Aliases(environment()).regions("production-data") == ()


def test_the_primary_is_the_last_one_whether_it_has_a_stack_of_its_own_or_not():
    assert Aliases(environment()).regions(STACK) == (WEST,)
    assert Aliases(environment()).regions("production") == (WEST, EAST)


@pytest.mark.parametrize(("errors", "invocations", "fails"), [(1, 99, True), (1, 100, False)])
def test_a_new_version_may_end_one_invocation_of_a_hundred_with_an_error(
    errors, invocations, fails
):
    functions = Functions(read=10, write=10)
    aliases = Aliases(functions.environment())
    functions.metrics = {
        ("write", "10", "Invocations"): [1.0, invocations - 1.0],
        ("write", "10", "Errors"): [float(errors)],
        ("read", "9", "Errors"): [50.0],
    }
    assert aliases.problem(WEST) == ""
    aliases.share(WEST, 0.1)

    problem = aliases.problem(WEST)

    assert ("1 of 99 invocations of version 10 of write" in problem) is fails
    assert aliases.problem(EAST) == ""
    aliases.restore(STACK)
    assert aliases.problem(WEST) == ""


def test_errors_that_cloudwatch_could_not_count_are_not_taken_for_none():
    functions = Functions(read=10, write=10)
    aliases = Aliases(functions.environment())
    aliases.share(WEST, 0.1)
    functions.status = "InternalError"

    with pytest.raises(OpsError, match="could not read a metric: InternalError"):
        aliases.problem(WEST)


def test_terraform_leaves_aliases_where_they_point(tmp_path):
    stack = {"resource": {"aws_lambda_alias": {"a": {"name": "live"}}, "x": {"y": {"z": 1}}}}
    file = tmp_path / "cdk.tf.json"
    file.write_text(json.dumps(stack))

    hold_aliases(tmp_path)
    once = file.read_text()
    hold_aliases(tmp_path)

    assert file.read_text() == once
    found = json.loads(once)["resource"]
    held = {"ignore_changes": ["function_version", "routing_config"]}
    assert found["aws_lambda_alias"]["a"] == {"name": "live", "lifecycle": held}
    assert found["x"] == stack["resource"]["x"]


def test_a_stack_without_aliases_stays_as_it_is(tmp_path):
    file = tmp_path / "cdk.tf.json"
    file.write_text('{"resource":{}}')

    hold_aliases(tmp_path)

    assert file.read_text() == '{"resource":{}}'


@pytest.mark.parametrize("text", ["", "[]", '{"resource": []}'])
def test_what_is_no_stack_is_an_error_with_the_next_step(tmp_path, text):
    (tmp_path / "cdk.tf.json").write_text(text)

    with pytest.raises(OpsError, match="cannot be read as a synthesized stack"):
        hold_aliases(tmp_path)


def test_alarms_are_those_of_the_api_and_its_functions():
    def alarm(name, **dimensions):
        named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
        return {"AlarmName": name, "Dimensions": named}

    def described(**request):
        assert request == {"StateValue": "ALARM"}
        alarms = [
            alarm("5xx", ApiName="weather", Stage="v1"),
            alarm("errors", FunctionName="read", Resource="read:live"),
            alarm("another API", ApiName="orders", Stage="v1"),
            alarm("another function", FunctionName="orders"),
            {"AlarmName": "a sum"},
        ]
        return {"MetricAlarms": alarms}

    made = Functions().environment()
    made.clients["cloudwatch", WEST]._operations["describe_alarms"] = described
    made.clients["apigateway", WEST]._operations["get_rest_api"] = {"name": "weather"}

    assert alarms_on(made, WEST) == {"5xx", "errors"}
