"""Releases that are bad, each in one way, and what must find them.

`tests/e2e/test_deploy.py` deploys them; docs/reference/releases.md has a row of each.
"""

import re
from dataclasses import dataclass

FUNCTION, API = "lambda_src/get_weather.py", "constructs_lib/api/regional_api.py"
FIRST_LINE = "    location_id = "


@dataclass(frozen=True)
class BadRelease:
    """A release with one fault.

    Attributes:
        fault: What is wrong with it, as the table says it.
        file: The file of the repository that is changed.
        old: Text of the file.
        new: What is in its place.
        found: Pattern of the reason why it is rolled back.
    """

    fault: str
    file: str
    old: str
    new: str
    found: str


GOOD = "good"
BAD = {
    "raises": BadRelease(
        "a function raises an exception",
        FUNCTION, FIRST_LINE, f"    raise RuntimeError\n{FIRST_LINE}",
        found="GET /weather/drill-",
    ),
    "answers wrongly": BadRelease(
        "a function returns another temperature, with 200",
        FUNCTION, "observation.as_document()", '{"temperature_celsius": -1}',
        found="GET /weather/drill-",
    ),
    "is slow": BadRelease(
        "a function waits for 6 s",
        FUNCTION, FIRST_LINE, f"    __import__('time').sleep(6)\n{FIRST_LINE}",
        # Or it responds too late.
        found="us-west-2 is slow: |GET /weather/drill-",
    ),
    "may not be called": BadRelease(
        "API Gateway may not call the functions",
        API, "{operation.method}{operation.path_pattern}", "GET/elsewhere",
        found="region.url of us-west-2: ",
    ),
    "has another path": BadRelease(
        "the API has an operation at another path",
        "weather_api/operations.py", 'path="/weather/{location}",', 'path="/forecast/{location}",',
        found="GET /weather/drill-",
    ),
}  # fmt: skip
"""`{release: what is wrong}`."""


def found_by(reason):
    """What found a fault, and when, by the reason of a rollback: for the table."""
    by = next(
        words
        for pattern, words in (
            ("transactions failed", "transactions"),
            ("is slow:", "the median of the transactions"),
            (r"^(while .*: )?(region|certificate)\.", "a check of `verify`"),
        )
        if re.search(pattern, reason)
    )
    if share := re.match(r"while (\d+)% of the requests", reason):
        return f"{by}, with {share[1]} % of the requests"
    if reason.startswith("while it served all customers"):
        return f"{by}, with all customers"
    return f"{by}, with all requests"
