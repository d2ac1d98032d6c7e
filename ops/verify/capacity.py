"""Whether the Regions that would take over can carry what the others carry now.

`quota.parity` compares quotas with quotas. These compare them with what is used, and with what the
API promises its customers.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from ops.environment import Environment
from ops.metrics import metric_data
from ops.verify.api_gateway import listed, routes_of, stage_name
from ops.verify.finding import (
    Finding,
    check,
    failed,
    passed,
    passed_unless,
    read_regions,
    region_check,
    unknown,
    unreadable,
)
from ops.verify.quotas import taken_over_from

NOT_PROVISIONED = "ProvisionedConcurrencyConfigNotFoundException"
"""Lambda's error code for an alias that has none."""
DAYS = 14
"""How far back what was used is looked at."""
_PERIOD = 300
_PAGES = "https://console.aws.amazon.com/servicequotas/home/services"
_RAISE_CONCURRENCY = (
    f"request an increase of Concurrent executions: {_PAGES}/lambda/quotas/L-B99A9384"
)
RAISE_THROTTLE = f"request an increase of the throttle: {_PAGES}/apigateway/quotas/L-8A5B8E43"
"""What to do about an account that takes too few requests a second."""


_Series = Mapping[datetime, float]


@dataclass(frozen=True)
class Used:
    """What a Region has used lately, and what it may use.

    Attributes:
        concurrency: Most invocations at once of the API's functions, by time.
        concurrency_of_account: Of all functions of the account.
        requests: Requests a second to the API, on average, by time.
        limit: Invocations at once that the API's functions may reach.
        throttle: Requests a second that the account takes.
    """

    concurrency: _Series
    concurrency_of_account: _Series
    requests: _Series
    limit: float
    throttle: float


@check("capacity.headroom")
def headroom(environment: Environment) -> Iterator[Finding]:
    """Check that each Region that would take over can carry what the others have carried.

    What was used are the most invocations at once, and requests a second, of both Regions in the
    same five minutes, in the last 14 days: customers whom a failover has moved count once.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-concurrency.html
    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
    """
    used = yield from read_regions(environment, _used)
    for region, own in used.items():
        for other in taken_over_from(environment, region):
            subject = f"{region} and {other}"
            if other in used:
                yield _carried(subject, region, own, other, used[other])
            else:
                yield unreadable(
                    subject,
                    f"what {other} uses could not be read",
                    f"see the finding of {other}",
                )


@region_check("capacity.provisioned")
def provisioned(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that provisioned concurrency is allocated.

    Source: https://docs.aws.amazon.com/lambda/latest/api/API_GetProvisionedConcurrencyConfig.html
    """
    client = environment.client("lambda", region)
    problems, allocated = [], {}
    for function, alias in sorted(_functions(environment, region)):
        try:
            config = client.get_provisioned_concurrency_config(
                FunctionName=function, Qualifier=alias
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != NOT_PROVISIONED:
                raise
            continue
        wanted = config["RequestedProvisionedConcurrentExecutions"]
        ready = config.get("AvailableProvisionedConcurrentExecutions", 0)
        allocated[function] = wanted
        if config["Status"] != "READY" or ready < wanted:
            why = config.get("StatusReason", "")
            problems.append(
                f"{function}: {ready} of {wanted} are available, {config['Status']}"
                + (f": {why}" if why else "")
            )
    shown = ", ".join(f"{name}: {number}" for name, number in allocated.items())
    yield passed_unless(
        region,
        problems,
        found=f"provisioned and ready: {shown}" if allocated else "nothing is provisioned",
        fix="wait some minutes after a deployment; if it remains, see the status of the "
        "function's alias, and deploy again",
    )


@region_check("capacity.limits")
def limits(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that the account's throttle allows what methods and plans promise.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html
    """
    client = environment.client("apigateway", region)
    account = client.get_account()["throttleSettings"]
    stage: dict[str, Any] = client.get_stage(
        restApiId=environment.outputs.api_ids[region], stageName=stage_name(environment, region)
    )
    promised: dict[str, Mapping[str, float | None]] = {
        f"method {method}": {
            "rateLimit": values.get("throttlingRateLimit"),
            "burstLimit": values.get("throttlingBurstLimit"),
        }
        for method, values in (stage.get("methodSettings") or {}).items()
    }
    for plan in listed(environment, region, "get_usage_plans"):
        if any(
            each["apiId"] == environment.outputs.api_ids[region]
            for each in plan.get("apiStages", ())
        ):
            promised[f"plan {plan['name']}"] = plan.get("throttle") or {}
    yield passed_unless(
        region,
        [
            f"{what}: {name} {value:g}, and the account has {account[name]:g}"
            for what, values in promised.items()
            for name in ("rateLimit", "burstLimit")
            if (value := values.get(name)) is not None and value > account[name]
        ],
        found=f"the account takes {account['rateLimit']:g} requests per second, and "
        f"{account['burstLimit']:g} at once: not less than any method or plan",
        fix=f"lower the limit in the environment file, or {RAISE_THROTTLE}",
    )


def _used(environment: Environment, region: str) -> Used:
    gateway = environment.client("apigateway", region)
    client = environment.client("lambda", region)
    functions = sorted({name for name, _ in _functions(environment, region)})
    api_id = environment.outputs.api_ids[region]
    api = {
        "ApiName": gateway.get_rest_api(restApiId=api_id).get("name", ""),
        "Stage": stage_name(environment, region),
    }
    queries = [
        _query("account", "AWS/Lambda", "ConcurrentExecutions", {}, "Maximum", _PERIOD),
        _query("requests", "AWS/ApiGateway", "Count", api, "Sum", _PERIOD),
        *(
            _query(
                f"function{number}", "AWS/Lambda", "ConcurrentExecutions",
                {"FunctionName": name}, "Maximum", _PERIOD,
            )
            for number, name in enumerate(functions)
        ),
    ]  # fmt: skip
    found = _measured(environment, region, queries)
    reserved = sum(
        client.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions", 0)
        for name in functions
    )
    account = client.get_account_settings()["AccountLimit"]
    return Used(
        concurrency=_sum([found[f"function{number}"] for number in range(len(functions))]),
        concurrency_of_account=found["account"],
        requests={at: number / _PERIOD for at, number in found["requests"].items()},
        limit=account.get("UnreservedConcurrentExecutions", account["ConcurrentExecutions"])
        + reserved,
        throttle=gateway.get_account()["throttleSettings"]["rateLimit"],
    )


def _carried(subject: str, region: str, own: Used, other: str, needed: Used) -> Finding:
    compared = [
        (
            "invocations at once", needed.concurrency, own.concurrency_of_account, own.limit,
            _RAISE_CONCURRENCY,
        ),
        ("requests per second", needed.requests, own.requests, own.throttle, RAISE_THROTTLE),
    ]  # fmt: skip
    problems, fixes, found = [], [], []
    for what, there, here, limit, fix in compared:
        if not there:
            continue
        most, at = max((number + here.get(at, 0.0), at) for at, number in there.items())
        text = (
            f"{what}: {other} had {there[at]:.4g}, and {region} {most - there[at]:.4g}, when both "
            f"had most in {DAYS} days; {region} may have {limit:g}"
        )
        found.append(text)
        if most > limit:
            problems.append(text)
            fixes.append(fix)
    if not found:
        return unknown(subject, f"CloudWatch has counted nothing in {other} in {DAYS} days")
    if problems:
        return failed(subject, "; ".join(problems), f"in {region}, {'; '.join(fixes)}")
    return passed(subject, "; ".join(found))


def _functions(environment: Environment, region: str) -> set[tuple[str, str]]:
    """The functions behind the API's routes, each with its alias."""
    return {
        (route.function, route.alias)
        for route in routes_of(environment, region).values()
        if route.function and route.alias
    }


def _query(
    id: str, namespace: str, metric: str, dimensions: Mapping[str, str], stat: str, period: int
) -> dict[str, Any]:
    named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    return {
        "Id": id,
        "MetricStat": {
            "Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": named},
            "Period": period,
            "Stat": stat,
        },
    }


def _measured(
    environment: Environment, region: str, queries: Sequence[Mapping[str, Any]]
) -> Mapping[str, _Series]:
    now = datetime.now(UTC)
    found: dict[str, dict[datetime, float]] = {query["Id"]: {} for query in queries}
    begun = now - timedelta(days=DAYS)
    for result in metric_data(environment, region, queries, start=begun, end=now):
        found[result["Id"]].update(zip(result["Timestamps"], result["Values"], strict=True))
    return found


def _sum(series: Sequence[_Series]) -> _Series:
    """Add metrics up, at each time."""
    sums: dict[datetime, float] = defaultdict(float)
    for each in series:
        for at, value in each.items():
            sums[at] += value
    return sums
