"""`GET /health`: whether this Region can serve, for Route 53's health checkers.

Returns 200 if the Region's replica of the data could be read within 0.7 seconds, otherwise 503. It
depends on that one read only, and ignores the content of the request.

Statuses: 200, 503.

The read runs in another thread and is then abandoned. Route 53 waits 2 s for a status after
connecting.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
"""

from functools import partial

from weather import replica
from weather.deadline import BoundedCheck
from weather.http import Request, Response, lambda_handler, region

ACTIONS = ("dynamodb:GetItem",)
DEADLINE_SECONDS = 0.7

_client = replica.connect(connect_timeout_seconds=0.3, read_timeout_seconds=0.4, attempts=1)
replica_check = BoundedCheck(partial(replica.read_nothing, _client))


@partial(lambda_handler, quiet=True)
def handler(_request: Request) -> Response:
    """Answer 200 if the local replica answered in time, else 503; both name the Region."""
    healthy = replica_check.passes_within(DEADLINE_SECONDS)
    return Response(
        200 if healthy else 503,
        {"status": "ok" if healthy else "unavailable", "region": region()},
        {"Cache-Control": "no-store"},
        error=replica_check.error,
    )
