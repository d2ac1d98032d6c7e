"""`GET /weather/{location}/observations?from&to&limit&cursor`: observations, oldest first.

Without `from` or `to`, the range is open at that end. If several observations were accepted for one
time, all are listed.

Returns one page. While `next_cursor` is not null, pass it as `cursor` to get the next page. Cursors
are valid in every Region. A cursor outside of `from` and `to` continues within them.

Statuses: 200, 400, 404, 500, 503.
"""

from weather import inputs, repository
from weather.http import Request, Response, lambda_handler

ACTIONS = ("dynamodb:GetItem", "dynamodb:Query")


@lambda_handler
def handler(request: Request) -> Response:
    """Answer one page: `{"observations": [...], "next_cursor": text or null}`."""
    listing = inputs.parse_observation_listing(request.path_parameters, request.query_parameters)
    observations, next_cursor = repository.list_observations(listing)
    if not observations:
        repository.require_location(request.path_parameters["location"])
    return Response(
        200,
        {
            "observations": [observation.as_document() for observation in observations],
            "next_cursor": next_cursor,
        },
    )
