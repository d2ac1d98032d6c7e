"""What AWS's service models say of a synthesized stack: each literal argument of each resource.

An argument is found by the name of the member, as Terraform writes it. What Terraform only knows
while it applies (`${…}`) is left out; the sandbox checks that, call by call.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session
from botocore import xform_name

from sandbox.emulator.strict.constraints import violations

CREATED_BY = {
    "aws_acm_certificate": ("acm", "RequestCertificate"),
    "aws_api_gateway_api_key": ("apigateway", "CreateApiKey"),
    "aws_api_gateway_base_path_mapping": ("apigateway", "CreateBasePathMapping"),
    "aws_api_gateway_domain_name": ("apigateway", "CreateDomainName"),
    "aws_api_gateway_gateway_response": ("apigateway", "PutGatewayResponse"),
    "aws_api_gateway_rest_api": ("apigateway", "CreateRestApi"),
    "aws_api_gateway_stage": ("apigateway", "CreateStage"),
    "aws_api_gateway_usage_plan": ("apigateway", "CreateUsagePlan"),
    "aws_cloudwatch_dashboard": ("cloudwatch", "PutDashboard"),
    "aws_cloudwatch_log_group": ("logs", "CreateLogGroup"),
    "aws_cloudwatch_metric_alarm": ("cloudwatch", "PutMetricAlarm"),
    "aws_dynamodb_table": ("dynamodb", "CreateTable"),
    "aws_fis_experiment_template": ("fis", "CreateExperimentTemplate"),
    "aws_iam_policy": ("iam", "CreatePolicy"),
    "aws_iam_role": ("iam", "CreateRole"),
    "aws_iam_role_policy": ("iam", "PutRolePolicy"),
    "aws_kms_alias": ("kms", "CreateAlias"),
    "aws_kms_key": ("kms", "CreateKey"),
    "aws_kms_replica_key": ("kms", "ReplicateKey"),
    "aws_lambda_alias": ("lambda", "CreateAlias"),
    "aws_lambda_function": ("lambda", "CreateFunction"),
    "aws_lambda_permission": ("lambda", "AddPermission"),
    "aws_lambda_provisioned_concurrency_config": ("lambda", "PutProvisionedConcurrencyConfig"),
    "aws_route53_zone": ("route53", "CreateHostedZone"),
    "aws_sns_topic": ("sns", "CreateTopic"),
    "aws_sns_topic_subscription": ("sns", "Subscribe"),
    "aws_wafv2_ip_set": ("wafv2", "CreateIPSet"),
    "aws_wafv2_web_acl": ("wafv2", "CreateWebACL"),
}
"""The call that creates a resource; those that are not here have no names of their own."""

OTHERS = {
    ("aws_route53_health_check", "fqdn"): ("route53", "HealthCheckConfig.FullyQualifiedDomainName"),
    ("aws_route53_health_check", "resource_path"): ("route53", "HealthCheckConfig.ResourcePath"),
    ("aws_route53_health_check", "failure_threshold"): (
        "route53",
        "HealthCheckConfig.FailureThreshold",
    ),
    ("aws_route53_health_check", "request_interval"): (
        "route53",
        "HealthCheckConfig.RequestInterval",
    ),
    ("aws_route53_record", "name"): ("route53", "ResourceRecordSet.Name"),
    ("aws_route53_record", "set_identifier"): ("route53", "ResourceRecordSet.SetIdentifier"),
    ("aws_lambda_function", "reserved_concurrent_executions"): (
        "lambda",
        "PutFunctionConcurrencyRequest.ReservedConcurrentExecutions",
    ),
    ("aws_cloudwatch_log_group", "retention_in_days"): (
        "logs",
        "PutRetentionPolicyRequest.retentionInDays",
    ),
}
"""Arguments whose members are in another call, or have another name: `shape.member`."""

TAGS = {
    "aws_acm_": ("acm", "TagList"),
    "aws_api_gateway_": ("apigateway", "MapOfStringToString"),
    "aws_cloudwatch_log_": ("logs", "Tags"),
    "aws_cloudwatch_metric_": ("cloudwatch", "TagList"),
    "aws_dynamodb_": ("dynamodb", "TagList"),
    "aws_fis_": ("fis", "TagMap"),
    "aws_iam_": ("iam", "tagListType"),
    "aws_kms_": ("kms", "TagList"),
    "aws_lambda_": ("lambda", "Tags"),
    "aws_route53_": ("route53", "TagList"),
    "aws_s3_": ("s3", "TagSet"),
    "aws_sns_": ("sns", "TagList"),
    "aws_wafv2_": ("wafv2", "TagList"),
}
"""The tags of a service's resources, by the beginning of their type."""


@functools.cache
def model_of(service: str) -> Any:
    """The newest model of a service."""
    return botocore.session.get_session().get_service_model(service)


def found_in(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every constraint that a synthesized stack does not hold, as `(argument, constraint)`."""
    defaults = document["provider"]["aws"][0]["default_tags"][0]["tags"]
    # Its name is an expression there: see constructs_lib/fixed.py.
    defaults |= document["resource"]["terraform_data"]["settings_are_as_deployed"]["input"]
    for type, resources in document["resource"].items():
        for logical_id, arguments in resources.items():
            for argument, shape, value in _checked(type, arguments, defaults):
                for path, what in violations(shape, value):
                    yield f"{type}.{logical_id}.{argument}{path}", f"{what}, got {value!r:.300}"


def checked(document: Mapping[str, Any]) -> set[tuple[str, str]]:
    """`(type, argument)` of all that is checked."""
    return {
        (type, argument)
        for type, resources in document["resource"].items()
        for arguments in resources.values()
        for argument, _, _ in _checked(type, arguments, {})
    }


def _checked(
    type: str, arguments: Mapping[str, Any], defaults: Mapping[str, str]
) -> Iterator[tuple[str, Any, Any]]:
    for argument, value in arguments.items():
        shape = _shape_of(type, argument)
        if argument == "tags":
            tags = {**defaults, **value}
            is_map = shape.type_name == "map"
            yield argument, shape, tags if is_map else _as_list(shape, tags)
        elif shape is not None and _is_literal(value) and _fits(shape, value):
            yield argument, shape, value


def _as_list(shape: Any, tags: Mapping[str, str]) -> list[dict[str, str]]:
    key, value = sorted(shape.member.members, key=str.lower)
    return [{key: name, value: text} for name, text in tags.items()]


@functools.cache
def _shape_of(type: str, argument: str) -> Any:
    if argument == "tags":
        (found,) = (shape for prefix, shape in TAGS.items() if type.startswith(prefix))
        return model_of(found[0]).shape_for(found[1])
    if (type, argument) in OTHERS:
        service, path = OTHERS[type, argument]
        name, _, member = path.partition(".")
        return model_of(service).shape_for(name).members[member]
    if type not in CREATED_BY:
        return None
    service, operation = CREATED_BY[type]
    members = model_of(service).operation_model(operation).input_shape.members
    named = {xform_name(name): member for name, member in members.items()}
    ends = [name for name in named if name.endswith(f"_{argument}")]
    return named.get(argument) or (named[ends[0]] if len(ends) == 1 else None)


def _is_literal(value: Any) -> bool:
    return not re.search(r"\$\{", str(value))


def _fits(shape: Any, value: Any) -> bool:
    """Whether Terraform's form of a value is that of the call: structures often differ."""
    kinds = {"string": str, "map": dict, "integer": int, "long": int, "double": (int, float)}
    return isinstance(value, kinds.get(shape.type_name, ()))
