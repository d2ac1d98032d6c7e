"""`GET /weather/{location}`: the latest observation of a location.

The latest is the one of the latest time and, if two Regions accepted different observations for
that time at the same moment, the one with the largest `observation_id`. So every Region that holds
the same observations gives the same answer.

404 tells an unknown location from one without observation in its `detail`.

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
