"""`GET /openapi.json`: this document, OpenAPI 3.0.

Its server URL is the shared domain name, which resolves to the Region in service. The response is
the same for every request and may be cached for five minutes.

Statuses: 200.

Reads the environment variable `API_URL` and renders the document when it is imported.
"""

import json
import os
from pathlib import Path
from typing import Final

from weather.http import Request, Response, lambda_handler

ACTIONS: tuple[str, ...] = ()

_GENERATED: Final = Path(__file__).with_name("weather") / "openapi.json"
_DOCUMENT: Final = json.dumps(
    {
        **json.loads(_GENERATED.read_text(encoding="utf-8")),
        "servers": [{"url": os.environ["API_URL"]}],
    },
    separators=(",", ":"),
)


@lambda_handler
def handler(_request: Request) -> Response:
    """Answer the document."""
    return Response(200, _DOCUMENT, {"Cache-Control": "public, max-age=300"})
