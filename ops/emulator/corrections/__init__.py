"""Where MiniStack differs from AWS in ways this product would notice, and is put right.

Each correction is one function that replaces a function of MiniStack in memory; its docstring says
what AWS does and what MiniStack does. They fit one MiniStack version only. For each there is a
test that fails once MiniStack itself is right: then drop the correction.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable

from ops.emulator.corrections import (
    addressing,
    api_gateway,
    cloudwatch,
    dynamodb,
    functions,
    kms,
    route53,
    speed,
)

MINISTACK_VERSION = "1.5.33"

CORRECTIONS: tuple[Callable[[], None], ...] = (
    addressing.execute_api_answers_by_host_name,
    addressing.custom_domain_answers_in_the_region_asked,
    addressing.api_host_names_belong_to_api_gateway,
    addressing.closed_execute_api_endpoint_answers_nobody,
    api_gateway.api_key_is_looked_up_in_its_region,
    api_gateway.unset_structures_are_left_out,
    api_gateway.method_settings_are_named_with_escaped_slashes,
    api_gateway.updated_limits_are_numbers,
    api_gateway.disabled_api_key_stays_disabled,
    api_gateway.iam_method_refuses_what_is_no_signature,
    api_gateway.validation_error_is_described,
    cloudwatch.alarm_is_described_whole,
    cloudwatch.alarm_looks_at_its_own_dimensions,
    cloudwatch.alarm_watches_a_sum,
    dynamodb.recovery_period_is_kept,
    dynamodb.replica_has_a_key_of_its_own,
    functions.invocations_are_counted,
    kms.aws_managed_keys_are_made_on_first_use,
    route53.health_check_lists_are_read,
    route53.health_check_switches_are_xml_booleans,
    speed.function_without_output_is_not_waited_for,
    speed.terraform_does_not_wait_for_dns_changes,
)


class UnsupportedMiniStackError(Exception):
    """MiniStack is missing, or is not the version the corrections were made for."""


def apply() -> None:
    """Install every correction. Call it once, before MiniStack serves its first request.

    Raises:
        UnsupportedMiniStackError: Another version is installed, or none.
    """
    installed = _installed_version()
    if installed != MINISTACK_VERSION:
        raise UnsupportedMiniStackError(
            f"the corrections are for ministack {MINISTACK_VERSION}, installed is {installed}: "
            f"install ministack=={MINISTACK_VERSION}, or review ops/emulator/corrections"
        )
    for correct in CORRECTIONS:
        correct()


def _installed_version() -> str:
    try:
        return importlib.metadata.version("ministack")
    except importlib.metadata.PackageNotFoundError:
        return "none"
