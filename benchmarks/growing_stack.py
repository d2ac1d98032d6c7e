"""A stack of any size, to see how synthesis grows: `python -m benchmarks.growing_stack 4 50`.

Synthesizes `FailoverApiStack` with so many Regions (latency routing takes more than two) and so
many operations, each on its own path, into `cdktf.out` of the current folder. It starts as
`main.py` does.
"""

import atexit
import gc
import sys
import tempfile
from pathlib import Path

import cdktf_bindings as bindings

if __name__ == "__main__":
    bindings.install()
    gc.disable()
    atexit.register(gc.freeze)

from cdktf import App

from constructs_lib import Authorization, FailoverApiStack, Key, Operation, Settings

STACK = "growth"
REGIONS = (
    "us-east-1",
    "us-west-2",
    "eu-central-1",
    "eu-west-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "sa-east-1",
    "ca-central-1",
)
HEALTH_OPERATION = "get_health"
_FUNCTION = 'def handler(event, context):\n    return {"statusCode": 200, "body": "{}"}\n'


def main(regions: int, operations: int) -> None:
    """Synthesize one stack.

    Args:
        regions: From two to eight.
        operations: One or more, the health checks' included.
    """
    served = _operations(operations)
    with tempfile.TemporaryDirectory() as folder:
        for operation in served:
            (Path(folder) / f"{operation.name}.py").write_text(_FUNCTION, encoding="utf-8")
        app = App()
        FailoverApiStack(
            app,
            settings=_settings(regions),
            operations=served,
            health_operation=HEALTH_OPERATION,
            functions=Path(folder),
            partition_key=Key("pk"),
            sort_key=Key("sk"),
        )
        app.synth()


def _operations(count: int) -> list[Operation]:
    health = Operation(
        name=HEALTH_OPERATION, method="GET", path="/health", authorization=Authorization.NONE
    )
    others = (
        Operation(
            name=f"get_series_{number}",
            method="GET",
            path=f"/series_{number}",
            authorization=Authorization.API_KEY,
            access=("dynamodb:GetItem",),
        )
        for number in range(1, count)
    )
    return [health, *others]


def _settings(regions: int) -> Settings:
    return Settings.model_validate(
        {
            "name": STACK,
            "regions": REGIONS[:regions],
            "routing_policy": "latency",
            "api": {"name": "weather"},
            "table": {"name": "weather-observations"},
            "domain": {
                "zone_name": "example.com",
                "record_name": "weather.example.com",
                "create_zone": True,
            },
            "backend": {"type": "local"},
        }
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
