"""Quotas of the account: a Region that takes over needs at least what it takes over from.

Read are those that a failover uses up. Quotas of how much may exist, such as API keys, are used up
by a deployment, which fails then.

Each is read from its own service, not from Service Quotas: that is the value which the service
applies, an increase that AWS has granted included, and Service Quotas has no more of these. So no
quota codes need to be kept, and no further service must be allowed and reachable.
"""

from collections.abc import Iterator, Mapping

from ops.environment import Environment
from ops.verify.finding import Finding, check, passed_unless, read_regions, unreadable

Quotas = Mapping[str, float]
"""`{quota: value}`."""
_FIX = (
    "request an increase in this Region: https://console.aws.amazon.com/servicequotas/; it counts "
    "once AWS has granted it"
)


@check("quota.parity")
def parity(environment: Environment) -> Iterator[Finding]:
    """Check that no Region has lower quotas than one that it takes over from.

    Source: https://docs.aws.amazon.com/lambda/latest/api/API_GetAccountSettings.html
    Source: https://docs.aws.amazon.com/apigateway/latest/api/API_GetAccount.html
    Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeLimits.html
    """
    quotas_of = yield from read_regions(environment, _quotas)
    for region, quotas in quotas_of.items():
        for other in taken_over_from(environment, region):
            if other in quotas_of:
                yield _compared(region, quotas, other, quotas_of[other])
            else:
                yield unreadable(
                    f"{region} and {other}",
                    f"{_shown(quotas)} in {region}; those of {other} could not be read",
                    f"see the finding of {other}",
                )


def taken_over_from(environment: Environment, region: str) -> list[str]:
    """List the Regions whose customers a Region serves after their failure.

    Args:
        environment: The environment.
        region: The Region.
    """
    if environment.outputs.routing_policy == "failover":
        # Whichever Region serves, it serves what the primary does.
        return [environment.primary] if region != environment.primary else []
    return [other for other in environment.regions if other != region]


def _quotas(environment: Environment, region: str) -> Quotas:
    functions = environment.client("lambda", region).get_account_settings()["AccountLimit"]
    throttle = environment.client("apigateway", region).get_account()["throttleSettings"]
    table = environment.client("dynamodb", region).describe_limits()
    return {
        "Lambda concurrent executions": functions["ConcurrentExecutions"],
        "API Gateway requests per second": throttle["rateLimit"],
        "API Gateway burst": throttle["burstLimit"],
        "DynamoDB read units of the account": table["AccountMaxReadCapacityUnits"],
        "DynamoDB write units of the account": table["AccountMaxWriteCapacityUnits"],
        "DynamoDB read units of a table": table["TableMaxReadCapacityUnits"],
        "DynamoDB write units of a table": table["TableMaxWriteCapacityUnits"],
    }


def _compared(region: str, quotas: Quotas, other: str, needed: Quotas) -> Finding:
    higher = {name: value for name, value in quotas.items() if value > needed[name]}
    found = f"{_shown(needed)} in {other}"
    found += f"; higher in {region}: {_shown(higher)}" if higher else f"; the same in {region}"
    return passed_unless(
        f"{region} and {other}",
        [
            f"{name}: {value:g} in {region}, {needed[name]:g} in {other}"
            for name, value in quotas.items()
            if value < needed[name]
        ],
        found=found,
        fix=_FIX,
    )


def _shown(quotas: Quotas) -> str:
    return ", ".join(f"{name}: {value:g}" for name, value in quotas.items())
