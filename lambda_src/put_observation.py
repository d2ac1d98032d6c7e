"""`PUT /weather/{location}/observations/{observed_at}`: add an observation, which never changes.

The rule, and what it promises while several Regions take writes:

1. The Region that answers looks at what it holds itself. The same observation there: 200,
   `"created": false`, so a request may be repeated safely, in another Region too. A different one
   for that time: 409. None: it is written, 201, `"created": true`.
2. The id of an observation is a digest of its body. So two different bodies are two observations
   and neither can overwrite the other, while the same body sent twice is one observation.
3. Requests with different bodies for one time that do not see each other (in two Regions before
   replication has joined them, or in one Region at the same instant) are each answered 201. Both
   observations stay, in every Region: both are listed, each with its `observation_id`, and
   `GET /weather/{location}` answers the one with the largest `observation_id` in every Region. From
   then on the time is taken: either body is answered 200, any third one 409. `DELETE` removes both.
4. For the same reason 201 may be answered twice for the same body; there is one observation then.
5. A location that another Region registered a moment ago may be answered 404 until it is
   replicated.

Statuses: 200, 201, 400, 404, 409, 415, 500, 503.

The Region reads its replica strongly consistently. The id is part of an item's key, so different
bodies are different items, and equal bodies are the same item with the same content. No write reads
and changes an item that others share.
"""

from weather import inputs, repository
from weather.errors import Conflict
from weather.http import Request, Response, lambda_handler

ACTIONS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query")


@lambda_handler
def handler(request: Request) -> Response:
    """Answer 201 or 200 and the observation, with its id."""
    observation = inputs.parse_observation(
        request.path_parameters, request.query_parameters, request.json_body()
    )
    standing = repository.find_observations_at(observation.moment)
    created = observation.observation_id not in {other.observation_id for other in standing}
    if created and standing:
        raise Conflict(
            f"Location {observation.location_id} has another observation of "
            f"{observation.observed_at}; delete it first to replace it."
        )
    if created:
        repository.require_location(observation.location_id)
        repository.put_observation(observation)
    return Response(201 if created else 200, {**observation.as_document(), "created": created})
