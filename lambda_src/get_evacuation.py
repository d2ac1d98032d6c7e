"""`GET /health/evacuations/{region}`: whether a Region is evacuated, for health checkers.

Operators evacuate a Region to take it out of service. Returns 200 if `region` is evacuated as far
as the Region that serves this request knows, 404 if it is not, and 503 if that is not known.
Clients do not need it.

Statuses: 200, 404, 503.

An operator's item in the table evacuates a Region until it is deleted or has expired. The inverted
health checks of Route 53 that call this in other Regions then take the Region out of service. Only
the data plane takes part: no API of the evacuated Region and none of Route 53. A Region that does
not respond evacuates no other.

With manual failback, this also evacuates a Region that has failed over: see `weather.failback`.

Source: https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/appendix-b---edge-network-global-service-guidance.html
"""

from functools import partial

from weather import failback, replica
from weather.errors import NotFound
from weather.http import Request, Response, lambda_handler, region

ACTIONS = ("dynamodb:GetItem",)
FAILBACK_ACTIONS = ("dynamodb:DeleteItem", "dynamodb:PutItem")
"""What manual failback needs beside."""

_client = replica.connect(connect_timeout_seconds=0.3, read_timeout_seconds=0.4, attempts=1)
_latch = failback.latch(_client)


@partial(lambda_handler, quiet=True)
def handler(request: Request) -> Response:
    """Answer 200 while the Region is evacuated, else 404; never from a cache."""
    evacuated = request.path_parameters["region"]
    if replica.is_evacuated(_client, evacuated):
        if _latch:
            _latch.forget(evacuated)
    elif not (_latch and _latch.has_failed_over(evacuated)):
        raise NotFound(f"The Region {evacuated[:32]} is not evacuated.")
    return Response(
        200,
        {"status": "evacuated", "evacuated_region": evacuated, "region": region()},
        {"Cache-Control": "no-store"},
    )
