"""`GET /openapi.json`: this document, OpenAPI 3.0.

Its first server is the shared domain name, which resolves to the Region in service. If each Region
also has a name of its own, these follow: a client may retry there what failed. The response is the
same for every request and may be cached for five minutes.

Statuses: 200.

Reads the environment variables `API_URL` and `NAMED_REGIONS`, the Regions that have a name of their
own before that of the API, and renders the document when it is imported.
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
        "servers": [
            {
                "url": os.environ["API_URL"],
                "description": "The name that resolves to the Region in service.",
            },
            *(
                {
                    "url": os.environ["API_URL"].replace("://", f"://{region}."),
                    "description": f"The Region {region} alone.",
                }
                for region in os.environ.get("NAMED_REGIONS", "").split()
            ),
        ],
    },
    separators=(",", ":"),
)


@lambda_handler
def handler(_request: Request) -> Response:
    """Answer the document."""
    return Response(200, _DOCUMENT, {"Cache-Control": "public, max-age=300"})
