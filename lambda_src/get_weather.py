"""`GET /weather/{location}`: the latest observation of a location.

Returns the observation with the latest time. If two Regions accepted different observations for
that time, it is the one with the largest `observation_id`, so every Region that holds the same
observations returns the same one.

For a 404, `detail` distinguishes an unknown location from a location without observations.

Statuses: 200, 400, 404, 500, 503.
"""

from weather import inputs, repository
from weather.errors import NotFound
from weather.http import Request, Response, lambda_handler

ACTIONS = ("dynamodb:GetItem", "dynamodb:Query")


@lambda_handler
def handler(request: Request) -> Response:
    """Answer the observation with the largest sort key."""
    location_id = inputs.parse_location_path(request.path_parameters, request.query_parameters)
    observation = repository.find_latest_observation(location_id)
    if observation is None:
        repository.require_location(location_id)
        raise NotFound(f"Location {location_id} has no observation yet.")
    return Response(200, observation.as_document())
