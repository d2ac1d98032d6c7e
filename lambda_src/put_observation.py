"""`PUT /weather/{location}/observations/{observed_at}`: add an observation, which is immutable.

If this Region already holds the same observation, it returns 200 with `created: false`, so retries
are safe in any Region. If it holds a different one for that time, it returns 409. Otherwise the
observation is stored and 201 with `created: true` is returned.

A time in the future is refused with 400, except for a tolerance of some minutes: five, unless the
operator of the API sets another. The error's `detail` has it, and the Region's time.

While several Regions accept writes:

1. The id of an observation is a digest of its body, so two different bodies are two observations,
   neither of which can overwrite the other, and the same body sent twice is one observation.
2. Requests with different bodies for the same time that do not see each other (in two Regions
   before replication, or in one Region at the same instant) all return 201. Both observations are
   kept in every Region. Both are listed, each with its `observation_id`, and
   `GET /weather/{location}` returns the one with the largest `observation_id`. After that, either
   body returns 200, and any third one 409. `DELETE` deletes both.
3. For the same reason the same body may get 201 twice; there is one observation.
4. A location that another Region has just registered may be reported as 404 until it is
   replicated.

Statuses: 200, 201, 400, 404, 409, 415, 500, 503.

Reads the environment variable `CLOCK_TOLERANCE_SECONDS` when it is imported.

The Region reads its replica strongly consistently. The id is part of an item's key, so different
bodies are different items, and equal bodies are the same item with the same content. No write reads
and changes an item that others share.
"""

import os
from datetime import UTC, datetime, timedelta
from typing import Final

from weather import inputs, repository
from weather.errors import Conflict
from weather.fence import refusing_writes
from weather.http import Request, Response, lambda_handler

ACTIONS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query")
CLOCK_TOLERANCE: Final = timedelta(seconds=int(os.environ.get("CLOCK_TOLERANCE_SECONDS", "300")))


@lambda_handler
@refusing_writes
def handler(request: Request) -> Response:
    """Answer 201 or 200 and the observation, with its id."""
    observation = inputs.parse_observation(
        request.path_parameters,
        request.query_parameters,
        request.json_body(),
        now=datetime.now(UTC),
        tolerance=CLOCK_TOLERANCE,
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
