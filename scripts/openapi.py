"""Write the OpenAPI document that the API serves: `pipenv run openapi`.

`--check` only compares; exit codes: 0 written or up to date, 1 out of date.
"""

import json
import sys
from collections.abc import Sequence

import weather_api.openapi
from scripts.generated import write_or_check
from weather_api.operations import FUNCTIONS, OPERATIONS

DOCUMENT = FUNCTIONS / "weather" / "openapi.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the document, or compare it.

    Args:
        arguments: Of the command line; those of the process by default.

    Returns:
        The exit code.
    """
    text = json.dumps(weather_api.openapi.document(OPERATIONS), indent=2) + "\n"
    return write_or_check(DOCUMENT, text, command="pipenv run openapi", arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
