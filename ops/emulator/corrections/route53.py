"""Corrections of Route 53's control plane."""

from __future__ import annotations

from typing import Any

from ops.emulator.corrections.replacing import module, replace

_LISTS = {"Regions": "Region", "ChildHealthChecks": "ChildHealthCheck"}


def health_check_lists_are_read() -> None:
    """A health check keeps its checker Regions and its children.

    AWS: gives back ``Regions`` and ``ChildHealthChecks`` as they were set.
    MiniStack 1.5.33: reads each entry as an empty string, so every plan wants to set them again.

    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html
    """
    route53 = module("services.route53")

    def parsing(original: Any) -> Any:
        def parse_health_check_config(element: Any) -> Any:
            config = original(element)
            for name, entry in _LISTS.items():
                container = route53._find(element, name)
                if container is not None:
                    config[name] = [
                        child.text or "" for child in route53._findall(container, entry)
                    ]
            return config

        return parse_health_check_config

    replace(route53, "_parse_health_check_config", parsing)


def health_check_switches_are_xml_booleans() -> None:
    """A health check's switches, such as ``EnableSNI``, are written ``true`` or ``false``.

    AWS: writes XML booleans.
    MiniStack 1.5.33: writes ``True`` and ``False``; boto3 reads ``True`` as false.

    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetHealthCheck.html
    """
    route53 = module("services.route53")

    def building(original: Any) -> Any:
        def build_health_check(parent: Any, check: dict[str, Any]) -> None:
            config = {
                name: str(value).lower() if isinstance(value, bool) else value
                for name, value in check.get("config", {}).items()
            }
            original(parent, {**check, "config": config})

        return build_health_check

    replace(route53, "_build_health_check_el", building)
