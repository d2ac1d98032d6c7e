"""Which alarms of a Region's API and functions are in the state ALARM."""

from ops.environment import Environment
from ops.verify.api_gateway import routes_of


def alarms_on(environment: Environment, region: str) -> frozenset[str]:
    """Read the names of those alarms.

    Alarms on sums of metrics are left out: they report that a Region serves, not that it fails.

    Args:
        environment: The environment.
        region: The Region.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
    """
    api_id = environment.outputs.api_ids[region]
    api = environment.client("apigateway", region).get_rest_api(restApiId=api_id)
    watched = {("ApiName", api["name"])} | {
        ("FunctionName", route.function) for route in routes_of(environment, region).values()
    }
    pages = environment.client("cloudwatch", region).get_paginator("describe_alarms")
    return frozenset(
        alarm["AlarmName"]
        for page in pages.paginate(StateValue="ALARM")
        for alarm in page["MetricAlarms"]
        if watched & {(each["Name"], each["Value"]) for each in alarm.get("Dimensions", ())}
    )
