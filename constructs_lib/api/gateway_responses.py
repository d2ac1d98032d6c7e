"""What API Gateway itself answers when it refuses a request.

Problem documents (RFC 9457) like the functions' own, with the Region in a header.
"""

from collections.abc import Iterator
from dataclasses import dataclass

SERVED_BY_HEADER = "X-Served-By-Region"
"""Response header that names the Region; the functions send the same one."""


@dataclass(frozen=True)
class GatewayResponse:
    """One kind of refusal.

    Attributes:
        type: API Gateway's response type.
        status: HTTP status; None leaves the status of whatever was refused.
        parameters: Response headers as API Gateway writes them.
        template: Body template.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
    """

    type: str
    status: str | None
    parameters: dict[str, str]
    template: str


def gateway_responses(region: str) -> Iterator[GatewayResponse]:
    """Every refusal of the API in one Region.

    Args:
        region: Region that the responses name.

    Yields:
        The defaults for 4xx and 5xx, then those that can say more: which part of a body is wrong,
        and when to come back.
    """
    # messageString comes quoted and escaped, so it is not quoted again.
    message = "$context.error.messageString"
    invalid = '"$context.error.validationErrorString"'
    yield _response("DEFAULT_4XX", region, detail=message)
    yield _response("DEFAULT_5XX", region, detail=message)
    yield _response("BAD_REQUEST_BODY", region, detail=invalid, status=400)
    yield _response("BAD_REQUEST_PARAMETERS", region, detail=invalid, status=400)
    yield _response("THROTTLED", region, detail=message, status=429, retry_after_seconds=1)
    yield _response("QUOTA_EXCEEDED", region, detail=message, status=429, retry_after_seconds=3600)


def _response(
    type: str,
    region: str,
    *,
    detail: str,
    status: int | None = None,
    retry_after_seconds: int | None = None,
) -> GatewayResponse:
    headers = {SERVED_BY_HEADER: region, "Content-Type": "application/problem+json"}
    if retry_after_seconds is not None:
        headers["Retry-After"] = str(retry_after_seconds)
    # A default serves many statuses, and no template variable tells which.
    known_status = f'"status":{status},' if status else ""
    return GatewayResponse(
        type=type,
        status=None if status is None else str(status),
        parameters={
            f"gatewayresponse.header.{name}": f"'{value}'" for name, value in headers.items()
        },
        template=(
            f'{{"type":"about:blank","title":"$context.error.responseType",{known_status}'
            f'"detail":{detail},"instance":"urn:request:$context.requestId"}}'
        ),
    )
