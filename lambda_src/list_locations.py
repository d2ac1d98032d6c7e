"""`GET /locations?limit&cursor`: the registered locations, ordered by id.

Returns one page. While `next_cursor` is not null, pass it as `cursor` to get the next page. Cursors
are valid in every Region.

Statuses: 200, 400, 500, 503.
"""

from weather import inputs, repository
from weather.http import Request, Response, lambda_handler

ACTIONS = ("dynamodb:Query",)


@lambda_handler
def handler(request: Request) -> Response:
    """Answer one page: `{"locations": [...], "next_cursor": text or null}`."""
    listing = inputs.parse_location_listing(request.query_parameters)
    locations, next_cursor = repository.list_locations(listing)
    return Response(
        200,
        {
            "locations": [location.as_document() for location in locations],
            "next_cursor": next_cursor,
        },
    )
