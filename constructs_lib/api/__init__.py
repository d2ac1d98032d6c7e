"""The `RegionalApi` construct: one REST API with its functions and its domain, in one Region."""

from constructs_lib.api.custom_domain import CustomDomain
from constructs_lib.api.customers import Customer, Customers, Plan
from constructs_lib.api.function_package import FunctionPackage
from constructs_lib.api.invoke_policy import InvokePolicy
from constructs_lib.api.operation import Authorization, Operation
from constructs_lib.api.regional_api import RegionalApi
from constructs_lib.api.web_acl import WebAcl

__all__ = [
    "Authorization",
    "CustomDomain",
    "Customer",
    "Customers",
    "FunctionPackage",
    "InvokePolicy",
    "Operation",
    "Plan",
    "RegionalApi",
    "WebAcl",
]
