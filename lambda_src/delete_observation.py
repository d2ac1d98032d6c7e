"""`DELETE /weather/{location}/observations/{observed_at}`: remove what was observed at a time.

May be repeated, in another Region too: the answer is 204 whether or not something was there, and
404 if the location is not registered. It removes every observation of that time that the Region
which answers holds; one that another Region accepted a moment ago and that is not replicated yet
stays, until the request is repeated.

Statuses: 204, 400, 404, 500, 503.
"""

from weather import inputs, repository
from weather.http import Request, Response, lambda_handler

ACTIONS = ("dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:Query")


@lambda_handler
def handler(request: Request) -> Response:
    """Answer 204 without a body; 404 if the location is not registered."""
    moment = inputs.parse_observation_path(request.path_parameters, request.query_parameters)
    observations = repository.find_observations_at(moment)
    if not observations:
        repository.require_location(moment.location_id)
    for observation in observations:
        repository.delete_observation(observation)
    return Response(204)
