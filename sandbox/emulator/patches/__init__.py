"""Patches of MiniStack, where it differs from AWS in ways this product would notice.

Each patch is one function that replaces a function of MiniStack in memory; its docstring states the
rule, what AWS does and what MiniStack does. They fit one version of MiniStack only. Each has a test
that fails once MiniStack follows the rule itself: then delete the patch.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable

from ops.errors import OpsError
from sandbox.emulator.patches import (
    addressing,
    api_gateway,
    capacity,
    cloudwatch,
    cross_origin,
    deployments,
    dynamodb,
    functions,
    kms,
    permissions,
    query_logging,
    route53,
    stages,
    versions,
)

MINISTACK_VERSION = "1.5.33"

PATCHES: tuple[Callable[[], None], ...] = (
    addressing.execute_api_answers_by_host_name,
    addressing.custom_domain_answers_in_the_region_asked,
    addressing.api_host_names_belong_to_api_gateway,
    addressing.closed_execute_api_endpoint_answers_nobody,
    api_gateway.api_key_is_looked_up_in_its_region,
    api_gateway.unset_structures_are_left_out,
    api_gateway.method_settings_are_named_with_escaped_slashes,
    api_gateway.updated_limits_are_numbers,
    api_gateway.updated_method_has_booleans,
    api_gateway.disabled_api_key_stays_disabled,
    api_gateway.iam_method_refuses_what_is_no_signature,
    api_gateway.validation_error_is_described,
    api_gateway.api_key_value_exists_once,
    cloudwatch.alarm_is_described_whole,
    cloudwatch.alarm_looks_at_its_own_dimensions,
    cloudwatch.alarm_watches_a_sum,
    cross_origin.services_allow_no_origin,
    deployments.stage_serves_what_was_deployed,
    deployments.deployment_of_a_stage_is_not_deleted,
    dynamodb.new_replica_is_not_active_at_once,
    dynamodb.recovery_period_is_kept,
    dynamodb.replica_has_a_key_of_its_own,
    dynamodb.protected_replica_is_not_deleted,
    functions.invocations_are_counted,
    functions.environments_of_a_function_start_one_at_a_time,
    capacity.reserved_concurrency_leaves_a_minimum,
    capacity.invocations_use_the_capacity_of_their_region,
    capacity.account_settings_are_those_of_the_region,
    capacity.api_throttles_have_an_account_behind_them,
    capacity.requests_of_an_api_are_counted,
    # After the count of invocations, which counts what is throttled as that.
    capacity.throttled_function_is_an_error_of_the_api,
    versions.version_is_named_by_its_number,
    versions.alias_points_to_versions_that_exist,
    versions.reserved_concurrency_limits_every_version,
    # After the count of invocations, which reads what it chooses.
    versions.alias_routes_by_weight,
    # After the checks of an alias: it refuses more.
    capacity.provisioned_concurrency_is_allocated_in_time,
    # After the choice of a version: the permission is on the alias.
    permissions.api_gateway_needs_permission,
    permissions.each_qualifier_has_its_policy,
    kms.aws_managed_keys_are_made_on_first_use,
    route53.health_check_lists_are_read,
    route53.health_check_switches_are_xml_booleans,
    route53.health_check_names_its_checker_regions,
    route53.alias_in_the_zone_has_a_target,
    query_logging.queries_of_a_zone_are_logged_in_one_place,
    route53.cname_record_is_alone,
    stages.base_path_mapping_is_updated,
    stages.names_in_use_are_refused,
    stages.one_variable_is_in_one_place,
    stages.settings_of_all_methods_overwrite_those_of_one,
    stages.stage_in_use_is_not_deleted,
    stages.usage_plan_stages_are_updated,
    functions.function_without_output_is_not_waited_for,
    route53.terraform_does_not_wait_for_dns_changes,
)


def apply() -> None:
    """Install every patch, once, before MiniStack serves its first request.

    Raises:
        OpsError: Another version is installed, or none.
    """
    installed = _installed_version()
    if installed != MINISTACK_VERSION:
        raise OpsError(
            f"the patches are for ministack {MINISTACK_VERSION}, installed is {installed}",
            next_step=f"install ministack=={MINISTACK_VERSION}, or review sandbox/emulator/patches",
        )
    for patch in PATCHES:
        patch()


def _installed_version() -> str:
    try:
        return importlib.metadata.version("ministack")
    except importlib.metadata.PackageNotFoundError:
        return "none"
