"""`GET /health/switch`: whether the failover switch is engaged, for Route 53's health checkers.

Operators engage it in the standby Region, to take the primary Region out of service and keep it
out. 200 while it is engaged in the Region that answers, 404 while it is not; clients need neither.

Statuses: 200, 404, 503.

The standby takes over the primary: while an operator's item stands in this Region's replica, this
answers 200, and the health check that asks the standby for it, inverted, takes the primary out of
service. Only the data plane takes part: no API of the failing Region and none of Route 53. When the
standby cannot answer, the check fails, and inverted it leaves the primary in service.

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
