"""Writes the OpenAPI document that the API serves: `pipenv run openapi`.

`--check` only compares; exit codes: 0 written or up to date, 1 out of date.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from constructs_lib import bindings

if __name__ == "__main__":
    # Before all other imports: the operations stand beside the stack, which needs the provider.
    bindings.install()

import weather_api
import weather_openapi

DOCUMENT = weather_api.FUNCTIONS / "weather" / "openapi.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the document, or compares it.

    Args:
        arguments: Of the command line; those of the process by default.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description="Writes the OpenAPI document of the weather API.")
    parser.add_argument("--check", action="store_true", help="only tell whether it is up to date")
    check = parser.parse_args(arguments).check
    text = json.dumps(weather_openapi.document(weather_api.OPERATIONS), indent=2) + "\n"
    if not check:
        DOCUMENT.write_text(text, encoding="utf-8")
    elif not DOCUMENT.is_file() or DOCUMENT.read_text(encoding="utf-8") != text:
        print(f"{DOCUMENT} is out of date: run `pipenv run openapi`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
