"""`GET /health/switch`: whether the failover switch is engaged, for Route 53's health checkers.

Operators engage it in the secondary Region, to take the primary Region out of service. Returns 200
while the switch is engaged in this Region, and 404 while it is not. Clients do not need it.

Statuses: 200, 404, 503.

While an operator's item exists in the secondary Region's replica, this returns 200, and the
inverted health check that calls it takes the primary out of service. Only the data plane takes
part: no API of the failing Region and none of Route 53. If the secondary does not respond, the
inverted check leaves the primary in service.

Source: https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/appendix-b---edge-network-global-service-guidance.html
"""

from functools import partial

from weather import replica
from weather.errors import NotFound
from weather.http import Request, Response, lambda_handler, region

ACTIONS = ("dynamodb:GetItem",)

_client = replica.connect(connect_timeout_seconds=0.3, read_timeout_seconds=0.4, attempts=1)


@partial(lambda_handler, quiet=True)
def handler(_request: Request) -> Response:
    """Answer 200 while the switch is engaged, else 404; never from a cache."""
    if not replica.switch_is_engaged(_client):
        raise NotFound("The failover switch is not engaged.")
    return Response(200, {"status": "engaged", "region": region()}, {"Cache-Control": "no-store"})
