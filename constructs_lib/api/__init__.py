"""The `RegionalApi` construct: one REST API with its functions and its domain, in one Region."""

from constructs_lib.api.custom_domain import CustomDomain
from constructs_lib.api.function_package import FunctionPackage
from constructs_lib.api.operation import Authorization, Operation
from constructs_lib.api.regional_api import RegionalApi
from constructs_lib.api.usage_plan import UsagePlan

__all__ = [
    "Authorization",
    "CustomDomain",
    "FunctionPackage",
    "Operation",
    "RegionalApi",
    "UsagePlan",
]
