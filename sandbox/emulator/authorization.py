"""What IAM policies are evaluated for, with `--iam-enforced`: resources, conditions, passed roles.

MiniStack evaluates policies, but of some requests it does not find the resource, so that only a
policy for `*` allows them, and it never asks whether a role may be passed. With
`SANDBOX_RECORDED_CALLS=FILE`, each decision is also appended to a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sandbox.emulator import module, replace
from sandbox.emulator.process_environment import ACCOUNT_ID
from sandbox.emulator.strict import current_call
from sandbox.emulator.strict.requests import Call

RECORD_VARIABLE = "SANDBOX_RECORDED_CALLS"
_NAMES: Mapping[str, Mapping[str, str]] = {
    "cloudwatch": {
        "ResourceARN": "{0}",
        "AlarmName": "arn:aws:cloudwatch:{region}:{account}:alarm:{0}",
        "AlarmNames": "arn:aws:cloudwatch:{region}:{account}:alarm:{0}",
        "DashboardName": "arn:aws:cloudwatch::{account}:dashboard/{0}",
        "DashboardNames": "arn:aws:cloudwatch::{account}:dashboard/{0}",
    },
    "dynamodb": {"ResourceArn": "{0}"},
    "dynamodbstreams": {"StreamArn": "{0}"},
    "ec2": {"PrefixListId": "arn:aws:ec2:{region}:aws:prefix-list/{0}"},
    "fis": {
        "experimentTemplateId": "arn:aws:fis:{region}:{account}:experiment-template/{0}",
        "resourceArn": "{0}",
    },
    "kms": {"AliasName": "arn:aws:kms:{region}:{account}:{0}"},
    "route53": {
        "HealthCheckId": "arn:aws:route53:::healthcheck/{0}",
        "HostedZoneId": "arn:aws:route53:::hostedzone/{0}",
    },
    "sns": {"ResourceArn": "{0}"},
    "wafv2": {"ResourceArn": "{0}", "ResourceARN": "{0}"},
}
"""`{service: {parameter: ARN of the resource that it names}}` of what MiniStack does not find.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
"""
_PASSED_TO = {
    "apigateway": "apigateway.amazonaws.com",
    "fis": "fis.amazonaws.com",
    "lambda": "lambda.amazonaws.com",
}


@dataclass(frozen=True)
class Decision:
    """What IAM decided about one call.

    Attributes:
        principal: ARN of who calls.
        action: The action, `service:Action`.
        resource: ARN of the resource, or `*`.
        region: Region of the request.
        context: Condition keys of the request, beside those that every request has.
        allowed: Whether the call was allowed.
    """

    principal: str
    action: str
    resource: str
    region: str
    context: Mapping[str, Any]
    allowed: bool


def install() -> None:
    """Complete MiniStack's evaluation of policies, before it serves its first request."""
    actions, evaluator = module("core.iam_actions"), module("core.iam_evaluator")
    file = os.environ.get(RECORD_VARIABLE)

    def naming(original: Callable[..., str | None]) -> Callable[..., str | None]:
        def extract_iam_action(service: str, *request: Any) -> str | None:
            call = current_call.get()
            return (action_of(call) if call else "") or original(service, *request)

        return extract_iam_action

    def finding(original: Callable[..., str]) -> Callable[..., str]:
        def extract_resource_arn(
            service: str, method: str, path: str, headers: Any, body: bytes, query: Any,
            region: str, account: str,
        ) -> str:  # fmt: skip
            found = original(service, method, path, headers, body, query, region, account)
            call = current_call.get()
            return (resource_of(call, region, account) if call else "") or found

        return extract_resource_arn

    def enforcing(original: Callable[..., Any]) -> Callable[..., Any]:
        def enforce(
            access_key: str, action: str, service: str, region: str,
            resource_arn: str = "*", service_context: Mapping[str, Any] | None = None,
        ) -> Any:  # fmt: skip
            call, context = current_call.get(), dict(service_context or {})
            if call:
                context |= conditions_of(call)
            denied = original(access_key, action, service, region, resource_arn, context)
            checked = [(denied, action, resource_arn, context)]
            role = call and role_of(call)
            if call and role and not denied:
                passed = {"iam:PassedToService": _PASSED_TO[call.service]}
                denied = original(access_key, "iam:PassRole", "iam", region, role, passed)
                checked.append((denied, "iam:PassRole", role, passed))
            if file:
                principal = evaluator.resolve_principal(access_key, ACCOUNT_ID)
                arn = getattr(principal, "arn", "")
                _record(
                    Path(file),
                    [
                        Decision(arn, action, resource, region, keys, result is None)
                        for result, action, resource, keys in checked
                    ],
                )
            return denied

        return enforce

    def securing(original: Callable[..., None]) -> Callable[..., None]:
        # Policies that require TLS mean AWS's endpoints; this one is on the loopback interface.
        return lambda source_ip, _secure: original(source_ip, True)

    replace(actions, "extract_iam_action", naming)
    replace(actions, "extract_resource_arn", finding)
    replace(module("app"), "pin_request_origin", securing)
    replace(evaluator, "enforce", enforcing)


def action_of(call: Call) -> str:
    """Find the IAM action of a call; empty if MiniStack finds it.

    It takes every call of a function's concurrency for `PutFunctionConcurrency`, every call of one
    alias for `ListAliases`, and knows no call of provisioned concurrency, of the account's settings
    or of query logging.

    Args:
        call: The call.
    """
    name = call.operation.name
    if "QueryLoggingConfig" in name:
        return f"route53:{name}"
    unknown = name.endswith(
        ("Alias", "FunctionConcurrency", "GetAccountSettings", "ProvisionedConcurrencyConfig")
    )
    return f"lambda:{name}" if call.service == "lambda" and unknown else ""


def resource_of(call: Call, region: str, account: str) -> str:
    """Find the ARN of the resource that a call names; empty if MiniStack finds it.

    Args:
        call: The call.
        region: Region of the request.
        account: The account.
    """
    parameters, operation = call.parameters, call.operation.name
    if call.service == "route53":
        if operation == "GetChange":
            return f"arn:aws:route53:::change/{parameters['Id'].rpartition('/')[2]}"
        if operation in ("GetQueryLoggingConfig", "DeleteQueryLoggingConfig"):
            return f"arn:aws:route53:::queryloggingconfig/{parameters['Id']}"
        if "ResourceId" in parameters:
            return f"arn:aws:route53:::{parameters['ResourceType']}/{parameters['ResourceId']}"
    if call.service == "kms" and parameters.get("KeyId", "").startswith("alias/"):
        # KMS authorizes the key that an alias points to.
        return f"arn:aws:kms:{region}:{account}:key/{parameters['KeyId']}"
    if operation == "CreateFunction" or (call.service == "lambda" and "Qualifier" in parameters):
        # Terraform names a version by its ARN, and by the qualifier once more.
        name = parameters["FunctionName"].rpartition(":function:")[2].partition(":")[0]
        qualifier = f":{parameters['Qualifier']}" if "Qualifier" in parameters else ""
        return f"arn:aws:lambda:{region}:{account}:function:{name}{qualifier}"
    if operation == "GetRecords":
        # MiniStack's iterator holds the stream's ARN.
        iterator = module("services.dynamodb_streams")._decode_iterator(parameters["ShardIterator"])
        return str((iterator or {}).get("arn", ""))
    if operation == "CreatePolicy":
        return f"arn:aws:iam::{account}:policy/{parameters['PolicyName']}"
    if call.service == "wafv2" and operation.endswith("IPSet"):
        id = parameters.get("Id", "*")
        return f"arn:aws:wafv2:{region}:{account}:regional/ipset/{parameters['Name']}/{id}"
    if call.service == "fis" and "id" in parameters:
        kind = "experiment-template" if operation.endswith("Template") else "experiment"
        return f"arn:aws:fis:{region}:{account}:{kind}/{parameters['id']}"
    if operation == "CreateExperimentTemplate":
        return f"arn:aws:fis:{region}:{account}:experiment-template/*"
    for parameter, arn in _NAMES.get(call.service, {}).items():
        if value := parameters.get(parameter):
            first = value[0] if isinstance(value, list) else value
            return arn.format(first, region=region, account=account)
    return ""


def conditions_of(call: Call) -> dict[str, list[str]]:
    """Find the condition keys of a call that MiniStack does not know.

    Args:
        call: The call.

    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
    """
    if call.service == "dynamodb" and (keys := list(_keys(call.parameters))):
        return {"dynamodb:LeadingKeys": keys}
    if call.operation.name == "ChangeResourceRecordSets":
        changes = call.parameters["ChangeBatch"]["Changes"]
        names = [change["ResourceRecordSet"]["Name"] for change in changes]
        normalized = sorted({name.lower().rstrip(".") for name in names})
        return {"route53:ChangeResourceRecordSetsNormalizedRecordNames": normalized}
    return {}


def role_of(call: Call) -> str:
    """Find the ARN of the role that a call passes to a service; empty if it passes none.

    Args:
        call: The call.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
    """
    if call.service == "lambda":
        return str(call.parameters.get("Role", ""))
    if call.service == "fis":
        return str(call.parameters.get("roleArn", ""))
    if call.operation.name == "UpdateAccount":
        operations = call.parameters.get("patchOperations", ())
        values = [each.get("value", "") for each in operations]
        return next((value for value in values if value.startswith("arn:")), "")
    return ""


def recorded(file: Path) -> list[Decision]:
    """Read what was recorded.

    Args:
        file: The file that `SANDBOX_RECORDED_CALLS` named.
    """
    return [Decision(**json.loads(line)) for line in file.read_text().splitlines()]


def _keys(parameters: Mapping[str, Any]) -> Iterator[str]:
    """Values of the partition key; the first attribute, as all our tables have it."""
    for key in (parameters.get("Key"), parameters.get("Item")):
        if key:
            yield str(next(iter((key.get("pk") or next(iter(key.values()))).values())))


def _record(file: Path, decisions: list[Decision]) -> None:
    with file.open("a") as lines:
        lines.writelines(f"{json.dumps(asdict(each))}\n" for each in decisions)
