"""`PUT /locations/{location}`: register a location, or replace it as a whole.

Returns 201 if this Region did not hold the location before, otherwise 200. Idempotent.

If two Regions replace the same location at the same time, the last writer wins in every Region; a
location is never a mixture of two writes.

Statuses: 200, 201, 400, 415, 500, 503.
"""

from weather import inputs, repository
from weather.fence import refusing_writes
from weather.http import Request, Response, lambda_handler

ACTIONS = ("dynamodb:PutItem",)


@lambda_handler
@refusing_writes
def handler(request: Request) -> Response:
    """Answer 201 or 200 and the location."""
    location = inputs.parse_location(
        request.path_parameters, request.query_parameters, request.json_body()
    )
    created = repository.put_location(location)
    return Response(201 if created else 200, {**location.as_document(), "created": created})
