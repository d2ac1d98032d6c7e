"""The names of an environment, as values of the placeholders in the tables of actions."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from constructs_lib.outputs import Outputs
from ops.errors import UsageError
from ops.iam.policy import Names
from ops.stacks import ROUTING_SUFFIX, read_stacks, releases_prefix

NAME_ATTRIBUTES = {
    "aws_acm_certificate": "domain_name",
    "aws_api_gateway_domain_name": "domain_name",
    "aws_cloudwatch_dashboard": "dashboard_name",
    "aws_cloudwatch_metric_alarm": "alarm_name",
    "aws_lambda_function": "function_name",
    "aws_s3_bucket": "bucket_prefix",
}
"""`{type of resource: argument that names it}` where it is not `name`."""


def synthesized(folders: Sequence[Path], environment: str) -> dict[str, Any]:
    """Read the synthesized JSON of an environment.

    Args:
        folders: Folders of its stacks.
        environment: Its name.

    Raises:
        OpsError: It does not exist.
    """
    try:
        return read_stacks(folders)
    except FileNotFoundError as error:
        raise UsageError(
            f"{error.filename} does not exist",
            next_step=f"synthesize it: FAILOVER_ENVIRONMENT={environment} pipenv run synth; or "
            "name the folder with --stack-folder",
        ) from error


def names_of_stack(stack: Mapping[str, Any], environment: str) -> Names:
    """Read the names from the synthesized JSON of a stack, which need not be deployed.

    Args:
        stack: The parsed JSON.
        environment: Name of the environment.

    Returns:
        `{type of resource: names}`, `region`, `account` (`*` unless the environment file allows
        exactly one), `environment`, `record` (names of the DNS records), `witness` (Regions of
        tables' witnesses) and, with a state bucket,
        `state_bucket`, `state_key`, `state_region` and `releases` (their prefix). What AWS or
        Terraform completes, and names that begin alike, end in `*`.
    """
    resources: Mapping[str, Mapping[str, Any]] = stack.get("resource", {})
    own = [str(each["name"]) for each in resources.get("aws_api_gateway_rest_api", {}).values()]
    names = {type: _names(type, found.values(), own) for type, found in resources.items()}
    providers = stack["provider"]["aws"]
    accounts = {account for each in providers for account in each.get("allowed_account_ids", ())}
    certified = names.get("aws_acm_certificate", ())
    records = [name for name in names.get("aws_route53_record", ()) if name != "*"]
    return {
        **names,
        "region": sorted({each["region"] for each in providers}),
        "account": sorted(accounts) if len(accounts) == 1 else ["*"],
        "environment": [environment],
        "witness": [
            str(table["global_table_witness"]["region_name"])
            for table in resources.get("aws_dynamodb_table", {}).values()
            if "global_table_witness" in table
        ],
        # ACM validates a name by a record below it.
        "record": sorted({*records, *(f"_*.{name}" for name in certified)}),
        **_backend(stack),
    }


def names_of_outputs(outputs: Outputs) -> Names:
    """Read the names from the outputs of a deployed environment.

    Args:
        outputs: The outputs.

    Returns:
        Values by placeholder, those with a Region in them as the end of an ARN.
    """
    account, secondary = outputs.account_id, outputs.secondary
    evacuation, state = outputs.evacuation, outputs.state
    evacuation_checks = set(evacuation.all_health_check_ids.values()) if evacuation else set()
    endpoint_checks = set(outputs.endpoint_health_check_ids.values())
    templates = [
        f"{region}:{account}:experiment-template/{id}"
        for ids in (outputs.experiment_template_ids or {}).values()
        for region, id in ids.items()
    ]
    return {
        "account": [account],
        "region": list(outputs.regions),
        "primary": [outputs.primary],
        "secondary": [secondary],
        "table": [outputs.table_name],
        "partition": [next(iter(evacuation.item.values()))] if evacuation else [],
        "api": [f"{region}::/restapis/{id}" for region, id in outputs.api_ids.items()],
        "invoked": [f"{region}:{account}:{id}" for region, id in outputs.api_ids.items()],
        "certificate": [_without_prefix(arn) for arn in outputs.certificate_arns.values()],
        "function": [
            f"{region}:{account}:function:{_siblings(name, outputs.environment)}"
            for region, name in outputs.health_functions.items()
        ],
        "health_function": [
            f"{outputs.primary}:{account}:function:{outputs.health_functions[outputs.primary]}"
        ],
        # Without templates there are no experiments, either.
        "experiment_template": templates,
        "experiment_account": [account] if templates else [],
        "environment": [outputs.environment],
        "health_check": sorted(
            {*outputs.health_check_ids.values(), *endpoint_checks, *evacuation_checks}
        ),
        "endpoint_check": sorted(endpoint_checks),
        "evacuation_check": sorted(evacuation_checks),
        "zone": [outputs.zone_id],
        "record": list(outputs.routed_names),
        "state_bucket": [state.bucket] if state else [],
        "releases": [releases_prefix(state.key)] if state else [],
        "records_key": [_without_prefix(outputs.records_key_arn)]
        if outputs.records_key_arn
        else [],
    }


def names_of_release(stack: Mapping[str, Any], outputs: Outputs) -> Names:
    """Read the names that a release needs: those of the stack, and what is deployed.

    Args:
        stack: The parsed JSON of the stack.
        outputs: The outputs of the environment.

    Returns:
        Values by placeholder.
    """
    return {
        **names_of_outputs(outputs),
        **names_of_stack(stack, outputs.environment),
        "account": [outputs.account_id],
    }


def _names(type: str, resources: Iterable[Mapping[str, Any]], own: list[str]) -> list[str]:
    attribute = NAME_ATTRIBUTES.get(type, "name")
    found = {str(each[attribute]) for each in resources if attribute in each}
    # An expression is known to Terraform alone.
    found = {re.sub(r"\$\{[^}]*\}", "*", name).rstrip(".").strip() for name in found}
    if attribute == "bucket_prefix":
        found = {f"{name}*" for name in found}
    if len(found) > 1:
        for prefix in own:
            found = {re.sub(rf"({re.escape(prefix)}-).+", r"\1*", name) for name in found}
    return sorted(found)


def _backend(stack: Mapping[str, Any]) -> Names:
    backend = stack.get("terraform", {}).get("backend", {}).get("s3")
    if backend is None:
        return {}
    key = backend["key"]
    # With several stacks, the key of the environment is that of the last one without its part.
    whole = key if isinstance(key, str) else "".join(key[-1].rsplit(ROUTING_SUFFIX, 1))
    return {
        "state_bucket": [str(backend["bucket"])],
        # One for each stack.
        "state_key": [key] if isinstance(key, str) else list(key),
        "releases": [releases_prefix(whole)],
        "state_region": [str(backend["region"])],
    }


def _siblings(function: str, environment: str) -> str:
    """A pattern for the functions of the same API."""
    begin, found, _ = function.partition(f"-{environment}-")
    return f"{begin}{found}*" if found else function


def _without_prefix(arn: str) -> str:
    return arn.removeprefix("arn:aws:")
