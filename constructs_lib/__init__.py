"""Constructs of a REST API that survives the loss of an AWS Region.

    from constructs_lib import FailoverDns, GlobalTable, Operation, RegionalApi

`FailoverApiStack` composes all of them from an environment's settings; each can also be used by
itself. Names are imported when they are first used: plain values, such as `Operation`, `Settings`
and `Outputs`, need neither cdktf nor the provider bindings.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from constructs_lib.api.customers import Customer, Customers, Plan
    from constructs_lib.api.function_package import FunctionPackage
    from constructs_lib.api.invoke_policy import InvokePolicy
    from constructs_lib.api.operation import Authorization, Operation
    from constructs_lib.api.options import CustomDomain, HostNames, Logging, ReleasedBy, Throttling
    from constructs_lib.api.regional_api import RegionalApi
    from constructs_lib.api.web_acl import WebAcl
    from constructs_lib.cloudwatch.watched import FailureMetric
    from constructs_lib.dynamodb.global_table import GlobalSecondaryIndex, GlobalTable, Key
    from constructs_lib.kms.multi_region_key import MultiRegionKey
    from constructs_lib.outputs import Outputs
    from constructs_lib.route53.failover_dns import FailoverDns
    from constructs_lib.route53.options import AliasTarget, HealthCheck, RegionalEndpoint
    from constructs_lib.route53.query_log import QueryLog
    from constructs_lib.settings import Settings, SettingsError, load
    from constructs_lib.stack import Evacuation, FailoverApiStack, Hints, Latch

__all__ = [
    "AliasTarget",
    "Authorization",
    "CustomDomain",
    "Customer",
    "Customers",
    "Evacuation",
    "FailoverApiStack",
    "FailoverDns",
    "FailureMetric",
    "FunctionPackage",
    "GlobalSecondaryIndex",
    "GlobalTable",
    "HealthCheck",
    "Hints",
    "HostNames",
    "InvokePolicy",
    "Key",
    "Latch",
    "Logging",
    "MultiRegionKey",
    "Operation",
    "Outputs",
    "Plan",
    "QueryLog",
    "RegionalApi",
    "RegionalEndpoint",
    "ReleasedBy",
    "Settings",
    "SettingsError",
    "Throttling",
    "WebAcl",
    "load",
]

_MODULES = {
    "api.customers": ("Customer", "Customers", "Plan"),
    "api.function_package": ("FunctionPackage",),
    "api.invoke_policy": ("InvokePolicy",),
    "api.operation": ("Authorization", "Operation"),
    "api.options": ("CustomDomain", "HostNames", "Logging", "ReleasedBy", "Throttling"),
    "api.regional_api": ("RegionalApi",),
    "api.web_acl": ("WebAcl",),
    "cloudwatch.watched": ("FailureMetric",),
    "dynamodb.global_table": ("GlobalSecondaryIndex", "GlobalTable", "Key"),
    "kms.multi_region_key": ("MultiRegionKey",),
    "outputs": ("Outputs",),
    "route53.failover_dns": ("FailoverDns",),
    "route53.options": ("AliasTarget", "HealthCheck", "RegionalEndpoint"),
    "route53.query_log": ("QueryLog",),
    "settings": ("Settings", "SettingsError", "load"),
    "stack": ("Evacuation", "FailoverApiStack", "Hints", "Latch"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
