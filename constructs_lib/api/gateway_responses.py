"""Responses of API Gateway itself, when it rejects a request.

Problem documents (RFC 9457) with the members that the functions' own have, and the Region in a
header. `about:blank` is the type of a problem that the status says all about; its title is the
phrase of the status.

Source: https://www.rfc-editor.org/rfc/rfc9457#section-4.2.1
"""

from collections.abc import Iterator
from dataclasses import dataclass

SERVED_BY_HEADER = "X-Served-By-Region"
"""Response header that names the Region; the functions send the same one."""

# Not from `http`: its phrases differ between versions of Python.
_PHRASES = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    504: "Gateway Timeout",
}
_MESSAGE = "$context.error.messageString"
"""Comes quoted and escaped, so it is not quoted again."""
_INVALID = '"$context.error.validationErrorString"'
_STATUSES = {
    # No template variable holds the status, so that each kind of error needs a response of its own.
    # What remains for the first is about credentials, for the second a function that failed.
    "DEFAULT_4XX": 403,
    "DEFAULT_5XX": 502,
    "BAD_REQUEST_BODY": 400,
    "BAD_REQUEST_PARAMETERS": 400,
    "INVALID_API_KEY": 403,
    "RESOURCE_NOT_FOUND": 404,
    "REQUEST_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "THROTTLED": 429,
    "QUOTA_EXCEEDED": 429,
    "API_CONFIGURATION_ERROR": 500,
    "INTEGRATION_FAILURE": 504,
    "INTEGRATION_TIMEOUT": 504,
}
_DETAILS = {
    "BAD_REQUEST_BODY": _INVALID,
    "BAD_REQUEST_PARAMETERS": _INVALID,
    # AWS says "Forbidden" of a key, and nothing more.
    "INVALID_API_KEY": '"The API key is missing or not valid here."',
}
_RETRY_AFTER_SECONDS = {"THROTTLED": 1, "QUOTA_EXCEEDED": 3600}


@dataclass(frozen=True)
class GatewayResponse:
    """One kind of error response.

    Attributes:
        type: API Gateway's response type.
        status: HTTP status, which the body repeats.
        parameters: Response headers as API Gateway writes them.
        template: Body template.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
    """

    type: str
    status: str
    parameters: dict[str, str]
    template: str


def gateway_responses(region: str) -> Iterator[GatewayResponse]:
    """Every error response of the API in one Region.

    Args:
        region: Region that the responses name.

    Yields:
        One for each kind of error, and those for all other 4xx and 5xx.
    """
    for type, status in _STATUSES.items():
        headers = {SERVED_BY_HEADER: region, "Content-Type": "application/problem+json"}
        if seconds := _RETRY_AFTER_SECONDS.get(type):
            headers["Retry-After"] = str(seconds)
        yield GatewayResponse(
            type=type,
            status=str(status),
            parameters={
                f"gatewayresponse.header.{name}": f"'{value}'" for name, value in headers.items()
            },
            template=(
                f'{{"type":"about:blank","title":"{_PHRASES[status]}","status":{status},'
                f'"detail":{_DETAILS.get(type, _MESSAGE)},'
                '"instance":"urn:request:$context.requestId"}'
            ),
        )
