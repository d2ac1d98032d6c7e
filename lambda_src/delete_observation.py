"""`DELETE /weather/{location}/observations/{observed_at}`: delete the observations of a time.

Idempotent, also across Regions: returns 204 whether or not an observation existed, and 404 if the
location is not registered. Deletes every observation of that time that this Region holds. An
observation that another Region has just accepted and not yet replicated remains until the request
is repeated.

Statuses: 204, 400, 404, 500, 503.
"""

from weather import inputs, repository
from weather.fence import refusing_writes
from weather.http import Request, Response, lambda_handler

ACTIONS = ("dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:Query")


@lambda_handler
@refusing_writes
def handler(request: Request) -> Response:
    """Answer 204 without a body; 404 if the location is not registered."""
    moment = inputs.parse_observation_path(request.path_parameters, request.query_parameters)
    observations = repository.find_observations_at(moment)
    if not observations:
        repository.require_location(moment.location_id)
    for observation in observations:
        repository.delete_observation(observation)
    return Response(204)
