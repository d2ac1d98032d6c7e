import base64
import dataclasses
import json
import re
from http import HTTPStatus

import pytest
from synthesis import Synthesized, new_stack, providers

from constructs_lib import (
    Authorization,
    CustomDomain,
    FunctionPackage,
    HostNames,
    Logging,
    Operation,
    RegionalApi,
    ReleasedBy,
    Throttling,
)
from examples.shop import main as shop

pytestmark = pytest.mark.unit

OPERATIONS = (
    Operation(name="ping", method="GET", path="/ping", authorization=Authorization.NONE),
    Operation(
        name="place_order",
        method="POST",
        path="/shops/{shop}/orders",
        authorization=Authorization.IAM,
        request_model={"type": "object", "required": ["sku"]},
        query_parameters={"urgent": False, "channel": True},
        timeout_seconds=7,
        memory_megabytes=512,
    ),
)


def api_in(stack, **arguments):
    (provider,) = providers(stack, "eu-west-1").values()
    return RegionalApi(
        stack,
        "api",
        **{
            "provider": provider,
            "region": "eu-west-1",
            "name": "orders",
            "stage_name": "live",
            "operations": OPERATIONS,
            "package": FunctionPackage(stack, "package", source=shop.FUNCTIONS),
        }
        | arguments,
    )


def synthesize(**arguments):
    stack = new_stack()
    api_in(stack, **arguments)
    return Synthesized(stack)


@pytest.fixture(scope="module")
def synthesized():
    return synthesize(
        environment={"TABLE": "orders"},
        logging=Logging(manage_account_log_role=True),
        tags={"team": "shop"},
    )


def named(resources, part):
    """The one whose id or whose JSON names the part."""
    (found,) = [
        arguments
        for logical_id, arguments in resources.items()
        if part in logical_id or f'"{part}"' in json.dumps(arguments)
    ]
    return found


def test_api_is_regional(synthesized):
    api = synthesized.only("aws_api_gateway_rest_api")

    assert api["endpoint_configuration"] == {"types": ["REGIONAL"]}
    assert api["name"] == "orders"


def test_paths_are_nested_and_made_once(synthesized):
    paths = synthesized.resources("aws_api_gateway_resource")

    assert sorted(path["path_part"] for path in paths.values()) == [
        "orders", "ping", "shops", "{shop}",
    ]  # fmt: skip
    orders = named(paths, "path_shops_parameter_orders")
    (shop_id,) = [i for i, path in paths.items() if path["path_part"] == "{shop}"]
    assert orders["parent_id"] == f"${{aws_api_gateway_resource.{shop_id}.id}}"
    assert named(paths, "ping")["parent_id"].endswith(".root_resource_id}")


def test_authorization_is_the_operations(synthesized):
    methods = synthesized.resources("aws_api_gateway_method")
    ping, order = named(methods, "ping"), named(methods, "place_order")

    assert (ping["authorization"], ping["api_key_required"]) == ("NONE", False)
    assert (order["authorization"], order["api_key_required"]) == ("AWS_IAM", False)
    keyed = synthesize(
        operations=[
            Operation(name="ping", method="GET", path="/p", authorization=Authorization.API_KEY)
        ]
    ).only("aws_api_gateway_method")
    assert (keyed["authorization"], keyed["api_key_required"]) == ("NONE", True)


def test_parameters_and_bodies_are_validated_before_a_function_runs(synthesized):
    validator = synthesized.only("aws_api_gateway_request_validator")
    assert (validator["validate_request_body"], validator["validate_request_parameters"]) == (
        True, True,
    )  # fmt: skip
    method = named(synthesized.resources("aws_api_gateway_method"), "place_order")
    assert "request_validator" in method["request_validator_id"]
    assert method["request_parameters"] == {
        "method.request.path.shop": True,
        "method.request.querystring.channel": True,
        "method.request.querystring.urgent": False,
    }
    model = synthesized.only("aws_api_gateway_model")
    assert json.loads(model["schema"]) == OPERATIONS[1].request_model
    assert re.fullmatch("[A-Za-z0-9]+", model["name"])
    assert list(method["request_models"]) == ["application/json"]


def test_every_method_has_a_proxy_integration_with_the_alias_of_its_own_function(synthesized):
    integrations = synthesized.resources("aws_api_gateway_integration")

    assert len(integrations) == len(OPERATIONS)
    for operation in OPERATIONS:
        (integration,) = [
            i for i in integrations.values() if f":orders-{operation.name}:live/" in i["uri"]
        ]
        assert integration["uri"].startswith(
            "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:"
        )
        assert integration["type"] == "AWS_PROXY"
        assert integration["integration_http_method"] == "POST"


def test_every_function_is_of_the_newest_runtime_on_arm_with_its_operations_limits(synthesized):
    function = named(synthesized.resources("aws_lambda_function"), "place_order")

    assert function["runtime"] == "python3.13"
    assert function["architectures"] == ["arm64"]
    assert function["handler"] == "place_order.handler"
    assert (function["timeout"], function["memory_size"]) == (7, 512)
    assert function["environment"] == {"variables": {"TABLE": "orders"}}


def test_functions_get_their_code_from_a_bucket_of_their_region(synthesized):
    (bucket,) = synthesized.resources("aws_s3_bucket")
    ((id, zip),) = synthesized.resources("aws_s3_object").items()

    assert zip["provider"] == "aws.eu-west-1"
    assert zip["bucket"] == f"${{aws_s3_bucket.{bucket}.id}}"
    assert zip["source"].startswith("assets/")
    for function in synthesized.resources("aws_lambda_function").values():
        # The references make Terraform upload the zip first.
        assert function["s3_bucket"] == f"${{aws_s3_object.{id}.bucket}}"
        assert function["s3_key"] == f"${{aws_s3_object.{id}.key}}"
        digest = base64.b64decode(function["source_code_hash"]).hex()
        assert zip["key"] == f"functions-{digest}.zip"


def test_the_code_bucket_is_private_before_it_holds_anything(synthesized):
    block = synthesized.only("aws_s3_bucket_public_access_block")
    assert {name for name, value in block.items() if value is True} == {
        "block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets",
    }  # fmt: skip
    (statement,) = named(synthesized.data("aws_iam_policy_document"), "tls_only")["statement"]
    assert (statement["effect"], statement["actions"]) == ("Deny", ["s3:*"])
    assert statement["condition"] == [
        {"test": "Bool", "variable": "aws:SecureTransport", "values": ["false"]}
    ]
    protections = {
        f"{type}.{id}"
        for type in ("aws_s3_bucket_public_access_block", "aws_s3_bucket_policy")
        for id in synthesized.resources(type)
    }
    assert set(synthesized.only("aws_s3_object")["depends_on"]) == protections


def test_the_code_is_encrypted_with_the_given_key():
    encrypted = synthesize(kms_key_arn="arn:of:the:key")

    (rule,) = encrypted.only("aws_s3_bucket_server_side_encryption_configuration")["rule"]
    assert rule["apply_server_side_encryption_by_default"] == {
        "sse_algorithm": "aws:kms", "kms_master_key_id": "arn:of:the:key",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["orders", "Orders_of.the" + "x" * 40])
def test_the_bucket_takes_any_name_that_an_api_has(name):
    prefix = synthesize(name=name[:40], operations=OPERATIONS[:1]).only("aws_s3_bucket")

    assert re.fullmatch(r"[a-z0-9-]{1,31}-code-", prefix["bucket_prefix"])


def test_the_log_group_exists_before_the_function_and_expires(synthesized):
    for operation in OPERATIONS:
        function = named(synthesized.resources("aws_lambda_function"), operation.name)
        log_group = named(synthesized.resources("aws_cloudwatch_log_group"), operation.name)
        assert log_group["name"] == f"/aws/lambda/{function['function_name']}"
        assert log_group["retention_in_days"] == 30
        assert function["logging_config"]["log_format"] == "JSON"
        # The reference is what makes Terraform create the log group first.
        assert "aws_cloudwatch_log_group." in function["logging_config"]["log_group"]


def test_every_function_has_its_own_role_that_writes_its_own_log_only(synthesized):
    functions = synthesized.resources("aws_lambda_function")
    assert len({function["role"] for function in functions.values()}) == len(functions)
    for operation in OPERATIONS:
        document = named(synthesized.data("aws_iam_policy_document"), f"{operation.name}_telemetry")
        log, traces = document["statement"]
        assert log["actions"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
        assert len(log["resources"]) == 1
        assert f"{operation.name}_log_group" in log["resources"][0]
        assert all(action.startswith("xray:Put") for action in traces["actions"])


def test_api_gateway_may_invoke_a_function_for_its_stage_method_and_path_only(synthesized):
    permissions = synthesized.resources("aws_lambda_permission")

    order = named(permissions, "place_order")
    assert order["principal"] == "apigateway.amazonaws.com"
    assert order["source_arn"].endswith(".execution_arn}/live/POST/shops/*/orders")
    assert named(permissions, "ping")["source_arn"].endswith(".execution_arn}/live/GET/ping")


def test_error_responses_are_problem_documents_that_name_the_region(synthesized):
    responses = synthesized.resources("aws_api_gateway_gateway_response").values()

    assert {r["response_type"] for r in responses} >= {"DEFAULT_4XX", "DEFAULT_5XX"}
    for response in responses:
        parameters = response["response_parameters"]
        assert parameters["gatewayresponse.header.X-Served-By-Region"] == "'eu-west-1'"
        assert parameters["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
        template = response["response_templates"]["application/json"]
        filled = template.replace("$context.error.messageString", '"m"').replace("$context", "c")
        problem = json.loads(filled)
        assert problem.keys() == {"type", "title", "status", "detail", "instance"}
        assert str(problem["status"]) == response["status_code"]
        # Of type about:blank, so the title is the phrase of the status.
        phrase = HTTPStatus(problem["status"]).phrase
        assert problem["title"] in (phrase, "Content Too Large")


def test_no_status_of_an_error_response_is_left_to_a_default_of_another(synthesized):
    statuses = {
        response["response_type"]: response["status_code"]
        for response in synthesized.resources("aws_api_gateway_gateway_response").values()
    }

    # What is not named here has the status of its default, as API Gateway documents.
    assert statuses["DEFAULT_4XX"] == "403"
    assert statuses["DEFAULT_5XX"] == "502"
    assert {statuses[type] for type in ("INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT")} == {"504"}
    assert statuses["REQUEST_TOO_LARGE"] == "413"
    assert statuses["API_CONFIGURATION_ERROR"] == "500"


def test_the_access_log_is_json_without_keys_or_payloads(synthesized):
    settings = synthesized.only("aws_api_gateway_stage")["access_log_settings"]
    fields = json.loads(settings["format"])

    expected = {"request_id", "status", "resource_path", "response_latency_ms", "tls_version"}
    assert expected <= fields.keys()
    assert not {"$context.identity.apiKey", "$input.body"} & set(fields.values())


def test_logs_and_traces_can_be_off():
    synthesized = synthesize(logging=Logging(access_logs=False, tracing=False))

    stage = synthesized.only("aws_api_gateway_stage")
    assert "access_log_settings" not in stage
    assert stage["xray_tracing_enabled"] is False
    settings = synthesized.only("aws_api_gateway_method_settings")["settings"]
    assert settings["logging_level"] == "OFF"
    for document in synthesized.data("aws_iam_policy_document").values():
        for statement in document["statement"]:
            assert not any(action.startswith("xray:") for action in statement["actions"])


def test_the_accounts_log_role_is_created_only_when_asked_for(synthesized):
    assert synthesized.resources("aws_api_gateway_account")
    (account,) = synthesized.resources("aws_api_gateway_account")
    waited_for = synthesized.only("aws_api_gateway_stage")["depends_on"]
    assert f"aws_api_gateway_account.{account}" in waited_for
    assert not synthesize().resources("aws_api_gateway_account")


def test_methods_are_throttled(synthesized):
    settings = synthesized.only("aws_api_gateway_method_settings")

    assert settings["method_path"] == "*/*"
    assert settings["settings"]["throttling_rate_limit"] == 100
    assert settings["settings"]["throttling_burst_limit"] == 200
    assert settings["settings"]["data_trace_enabled"] is False


def test_an_operation_may_have_its_own_limits():
    limited = Operation(
        name="ping", method="GET", path="/shops/ping", authorization=Authorization.NONE,
        rate_per_second=500.0, burst=50,
    )  # fmt: skip
    settings = synthesize(operations=[limited]).resources("aws_api_gateway_method_settings")

    assert {
        s["method_path"]: s["settings"]["throttling_rate_limit"] for s in settings.values()
    } == {"*/*": 100, "~1shops~1ping/GET": 500}
    # AND it is set after that of all methods, which would end it, and again whenever that changes
    (every, every_id), (own, _) = (
        next((s, id) for id, s in settings.items() if s["method_path"] == path)
        for path in ("*/*", "~1shops~1ping/GET")
    )
    assert "depends_on" not in every
    assert own["depends_on"] == [f"aws_api_gateway_method_settings.{every_id}"]
    assert own["lifecycle"] == {
        "replace_triggered_by": [f"aws_api_gateway_method_settings.{every_id}.settings"]
    }


def test_method_settings_are_set_one_after_another():
    operations = [
        dataclasses.replace(operation, rate_per_second=5.0, burst=5) for operation in OPERATIONS
    ]
    settings = synthesize(operations=operations).resources("aws_api_gateway_method_settings")

    assert [len(each.get("depends_on", [])) for each in settings.values()] == [0, 1, 1]
    assert len({tuple(each.get("depends_on", [])) for each in settings.values()}) == 3


def test_detailed_metrics_are_off_and_lambda_logs_only_warnings_of_quiet_operations():
    synthesized = synthesize(quiet_operations=["ping"])
    functions = synthesized.resources("aws_lambda_function")

    settings = synthesized.only("aws_api_gateway_method_settings")["settings"]
    assert settings["metrics_enabled"] is False
    assert named(functions, "api_ping")["logging_config"]["system_log_level"] == "WARN"
    assert "system_log_level" not in named(functions, "api_place_order")["logging_config"]


@pytest.mark.parametrize("type", ["aws_lambda_alias", "aws_lambda_permission"])
def test_an_alias_and_a_permission_are_replaced_with_their_function(synthesized, type):
    for operation in OPERATIONS:
        ids = synthesized.resources("aws_lambda_function")
        (function,) = [id for id in ids if f"api_{operation.name}" in id]
        found = named(synthesized.resources(type), operation.name)
        # Unlike the name, the id is unknown while a plan replaces the function.
        assert found["function_name"] == f"${{aws_lambda_function.{function}.id}}"


def test_api_gateway_may_invoke_the_alias_and_nothing_else(synthesized):
    aliases = synthesized.resources("aws_lambda_alias")
    permissions = synthesized.resources("aws_lambda_permission")

    assert {alias["name"] for alias in aliases.values()} == {"live"}
    # The reference makes Terraform create the alias first.
    assert {permission["qualifier"] for permission in permissions.values()} == {
        f"${{aws_lambda_alias.{id}.name}}" for id in aliases
    }
    # An alias takes its policy with it.
    assert sorted(
        trigger
        for permission in permissions.values()
        for trigger in permission["lifecycle"]["replace_triggered_by"]
    ) == sorted(f"aws_lambda_alias.{id}.arn" for id in aliases)


def test_every_change_of_a_function_publishes_a_version_which_terraform_releases(synthesized):
    for operation in OPERATIONS:
        functions = synthesized.resources("aws_lambda_function")
        (function,) = [id for id in functions if f"api_{operation.name}" in id]
        assert functions[function]["publish"] is True
        alias = named(synthesized.resources("aws_lambda_alias"), operation.name)
        assert alias["function_version"] == f"${{aws_lambda_function.{function}.version}}"
        # What a weight gives to another version, the next apply takes back.
        assert "routing_config" not in alias
        assert "lifecycle" not in alias


def test_terraform_leaves_to_the_operator_which_versions_serve():
    by_operator = synthesize(released_by=ReleasedBy.OPERATOR)

    for alias in by_operator.resources("aws_lambda_alias").values():
        # The first apply needs a version to point to.
        assert alias["function_version"].endswith(".version}")
        assert alias["lifecycle"] == {"ignore_changes": ["function_version", "routing_config"]}
    assert by_operator.addresses() == synthesize().addresses()


def test_a_stage_serves_only_what_may_be_invoked(synthesized):
    waited_for = synthesized.only("aws_api_gateway_stage")["depends_on"]

    assert {
        f"aws_lambda_permission.{id}" for id in synthesized.resources("aws_lambda_permission")
    } <= set(waited_for)


def test_no_log_is_kept_longer_than_configured(synthesized):
    log_groups = synthesized.resources("aws_cloudwatch_log_group")

    # One per function, the access log, and the execution log that API Gateway would make itself.
    assert len(log_groups) == len(OPERATIONS) + 2
    assert {group["retention_in_days"] for group in log_groups.values()} == {30}
    stage = synthesized.only("aws_api_gateway_stage")
    assert [d for d in stage["depends_on"] if "execution_log_group" in d]


def test_an_operation_can_be_renamed_without_a_conflict_on_its_route():
    one = [Operation(name="ping", method="GET", path="/p", authorization=Authorization.NONE)]
    other = [
        Operation(name="place_order", method="GET", path="/p", authorization=Authorization.NONE)
    ]

    for type in ("aws_api_gateway_method", "aws_api_gateway_integration"):
        before, after = (synthesize(operations=o).resources(type) for o in (one, other))
        assert before.keys() == after.keys()


def test_a_parameter_of_a_path_can_be_renamed_in_place():
    def made(parameter):
        return synthesize(
            operations=[
                Operation(
                    name="ping",
                    method="GET",
                    path=f"/orders/{{{parameter}}}/items",
                    authorization=Authorization.NONE,
                )
            ]
        )

    before, after = made("order"), made("number")

    assert before.addresses() == after.addresses()
    parts = [r["path_part"] for r in after.resources("aws_api_gateway_resource").values()]
    assert sorted(parts) == ["items", "orders", "{number}"]


def test_paths_that_look_alike_have_separate_resources():
    paths = ["/a/parameter", "/a_parameter", "/a/{b}"]
    operations = [
        Operation(name=name, method="GET", path=path, authorization=Authorization.NONE)
        for name, path in zip(("ping", "place_order", "ping"), paths, strict=True)
    ]

    made = synthesize(operations=operations[:2]).resources("aws_api_gateway_resource")
    assert sorted(r["path_part"] for r in made.values()) == ["a", "a_parameter", "parameter"]
    made = synthesize(operations=operations[1:]).resources("aws_api_gateway_resource")
    assert sorted(r["path_part"] for r in made.values()) == ["a", "a_parameter", "{b}"]


def test_everything_that_takes_tags_is_tagged(synthesized):
    for type in (
        "aws_api_gateway_rest_api", "aws_api_gateway_stage", "aws_lambda_function",
        "aws_cloudwatch_log_group", "aws_iam_role",
    ):  # fmt: skip
        for resource in synthesized.resources(type).values():
            assert resource["tags"] == {"team": "shop"}, type


def deployment_trigger(**arguments):
    return synthesize(**arguments).only("aws_api_gateway_deployment")["triggers"]["definition"]


def changed(**change):
    ping, order = OPERATIONS
    fields = {name: getattr(order, name) for name in order.__dataclass_fields__}
    return [ping, Operation(**fields | change)]


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"path": "/shops/{shop}/baskets"},
        {"authorization": Authorization.API_KEY},
        {"request_model": {"type": "object", "required": ["sku", "count"]}},
        {"query_parameters": {"urgent": True, "channel": True}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_change_of_the_definition_is_deployed(change):
    assert deployment_trigger(operations=changed(**change)) != deployment_trigger()


def test_changes_outside_of_the_definition_deploy_nothing():
    unchanged = deployment_trigger()

    assert deployment_trigger() == unchanged
    assert deployment_trigger(operations=changed(timeout_seconds=8)) == unchanged
    assert (
        deployment_trigger(
            logging=Logging(retention_days=7), throttling=Throttling(rate_per_second=5.0)
        )
        == unchanged
    )


def test_a_deployment_waits_for_the_whole_definition_and_replaces_without_a_gap(synthesized):
    deployment = synthesized.only("aws_api_gateway_deployment")

    assert deployment["lifecycle"] == {"create_before_destroy": True}
    for type in ("method", "integration", "resource", "model", "gateway_response"):
        for logical_id in synthesized.resources(f"aws_api_gateway_{type}"):
            assert f"aws_api_gateway_{type}.{logical_id}" in deployment["depends_on"]


def test_the_domain_has_a_certificate_of_its_own_region_and_tls_1_2():
    asked = []

    def validate(name, certificate, provider):
        asked.append((name, certificate, provider))
        return "arn:validated"

    synthesized = synthesize(host_names=HostNames(shared=CustomDomain("shop.example", validate)))

    domain = synthesized.only("aws_api_gateway_domain_name")
    assert len(asked) == 1
    assert domain["regional_certificate_arn"] == "arn:validated"
    assert domain["security_policy"] == "TLS_1_2"
    assert domain["endpoint_configuration"] == {
        "types": ["REGIONAL"], "ip_address_type": "dualstack",
    }  # fmt: skip
    assert synthesized.only("aws_api_gateway_rest_api")["endpoint_configuration"] == {
        "types": ["REGIONAL"], "ip_address_type": "dualstack",
    }  # fmt: skip
    assert synthesized.only("aws_acm_certificate")["validation_method"] == "DNS"
    mapping = synthesized.only("aws_api_gateway_base_path_mapping")
    assert mapping["base_path"] == "live"


def test_without_the_execute_api_endpoint_an_api_responds_at_its_domains_only():
    # GIVEN an API with a name of its own Region, and no execute-api endpoint
    stack = new_stack()
    domain = CustomDomain("eu-west-1.shop.example", lambda *_: "arn:validated")
    api = api_in(stack, host_names=HostNames(regional=domain, execute_api=False))
    open_api = synthesize()
    closed = Synthesized(stack)

    # THEN the endpoint is closed, which a deployment makes known
    assert closed.only("aws_api_gateway_rest_api")["disable_execute_api_endpoint"] is True
    assert open_api.only("aws_api_gateway_rest_api")["disable_execute_api_endpoint"] is False
    assert (
        closed.only("aws_api_gateway_deployment")["triggers"]
        != open_api.only("aws_api_gateway_deployment")["triggers"]
    )
    # AND the Region's own name is how it is called
    assert api.url == "https://eu-west-1.shop.example/live"
    assert list(closed.resources("aws_api_gateway_domain_name")) == ["api_regional_domain_name"]


def test_an_api_without_any_name_is_rejected():
    with pytest.raises(ValueError, match="nobody could call the API"):
        HostNames(execute_api=False)


def test_every_log_is_encrypted_with_the_key_that_is_given():
    logs = synthesize(kms_key_arn="arn:key").resources("aws_cloudwatch_log_group")

    assert len(logs) == len(OPERATIONS) + 2
    assert {log["kms_key_id"] for log in logs.values()} == {"arn:key"}


def test_concurrency_is_reserved_for_the_operations_that_ask_for_it():
    ping = dataclasses.replace(OPERATIONS[0], reserved_concurrency=5)
    functions = synthesize(operations=[ping, OPERATIONS[1]]).resources("aws_lambda_function")

    assert named(functions, "api_ping")["reserved_concurrent_executions"] == 5
    assert "reserved_concurrent_executions" not in named(functions, "api_place_order")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"operations": []}, "operations is empty"),
        ({"operations": [OPERATIONS[0], OPERATIONS[0]]}, "the name ping is already taken"),
        (
            {
                "operations": [
                    Operation(
                        name="ping", method="GET", path="/{a}", authorization=Authorization.NONE
                    ),
                    Operation(
                        name="place_order", method="GET", path="/{b}",
                        authorization=Authorization.NONE,
                    ),
                ]
            },
            r"GET /\* is already taken by 'ping'",
        ),
        (
            {
                "operations": [
                    Operation(
                        name="fly", method="GET", path="/fly", authorization=Authorization.NONE
                    )
                ]
            },
            "holds no module fly.py",
        ),
        ({"name": "x" * 60}, "IAM allows 64"),
        (
            {
                "operations": [
                    Operation(
                        name="ping", method="GET", path="/a/{x}", authorization=Authorization.NONE
                    ),
                    Operation(
                        name="place_order", method="GET", path="/a/{y}/z",
                        authorization=Authorization.NONE,
                    ),
                ]
            },
            r"/a/\{y\} is already /a/\{x\}",
        ),
    ],
    ids=["none", "name twice", "route twice", "module missing", "name too long", "two parameters"],
)  # fmt: skip
def test_an_api_that_cannot_be_is_rejected_with_the_fix(arguments, message):
    with pytest.raises(ValueError, match=message):
        synthesize(**arguments)
