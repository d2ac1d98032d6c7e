"""The lines of the AWS CLI that evacuate and restore Regions where this tool cannot run."""

from collections.abc import Iterator

from constructs_lib.outputs import Outputs
from ops.evacuation_item import evacuate_by_hand, restore_by_hand

INTRODUCTION = "Keep these lines, for a machine without this tool. They call one Region each:"


def break_glass(outputs: Outputs, endpoint_url: str | None = None) -> dict[str, dict[str, str]]:
    """Compose the lines of each Region.

    They write to the first other Region, from where the table replicates, and call nothing
    elsewhere: credentials come from STS there, too.

    Args:
        outputs: Outputs of the environment.
        endpoint_url: URL of every service of a sandbox; None for AWS's own.

    Returns:
        `{region: {setup, evacuate, restore}}`; empty if no Region can be evacuated.

    Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-sts-regionalized-endpoints.html
    """
    if outputs.evacuation is None:
        return {}
    at = f" --endpoint-url {endpoint_url}" if endpoint_url else ""
    return {
        region: {
            # Version 1 of the CLI knows AWS_DEFAULT_REGION alone, and asks the global STS.
            "setup": f"export AWS_REGION={other} AWS_DEFAULT_REGION={other} "
            "AWS_STS_REGIONAL_ENDPOINTS=regional",
            "evacuate": evacuate_by_hand(outputs, region, other) + at,
            "restore": restore_by_hand(outputs, region, other) + at,
        }
        for region in outputs.regions
        for other in [next(each for each in outputs.regions if each != region)]
    }


def as_text(lines: dict[str, dict[str, str]]) -> Iterator[str]:
    """Give them line by line, as a shell reads them; nothing if there are none.

    Args:
        lines: What `break_glass` gave.
    """
    if lines:
        yield INTRODUCTION
    for region, of_region in lines.items():
        yield f"# Before either of the two for {region}:"
        yield of_region["setup"]
        for what in ("evacuate", "restore"):
            yield f"# {what} {region}"
            yield of_region[what]
