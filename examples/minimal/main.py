"""A two-Region API with one operation: the secondary Region takes over when the primary fails.

    pip install multi_region_failover_api-0.1.0-py3-none-any.whl
    python main.py
    cd cdktf.out/stacks/hello && terraform init && terraform apply

The hosted zone of the domain must exist. Each operation is served by the module of its name in
`functions/`; health checks call `get_health`.
"""

from pathlib import Path

import cdktf_bindings

if __name__ == "__main__":
    # Loads the provider's classes in 2 s instead of 13 s; without it, everything else is the same.
    cdktf_bindings.install()

from cdktf import App

from constructs_lib import Authorization, FailoverApiStack, Key, Operation, Settings

SETTINGS = Settings.model_validate(
    {
        "name": "hello",
        "regions": ("us-east-1", "us-west-2"),
        "api": {"name": "hello"},
        "table": {"name": "hello"},
        "domain": {"zone_name": "example.com", "record_name": "hello.example.com"},
        "backend": {"type": "local"},
    }
)
OPERATIONS = [
    Operation(
        name=name,
        method="GET",
        path=path,
        authorization=Authorization.NONE,
        access=("dynamodb:GetItem",),
    )
    for name, path in (("get_health", "/health"), ("get_greeting", "/greetings/{language}"))
]

if __name__ == "__main__":
    app = App()
    FailoverApiStack(
        app,
        settings=SETTINGS,
        operations=OPERATIONS,
        health_operation="get_health",
        functions=Path(__file__).parent / "functions",
        partition_key=Key("language"),
    )
    app.synth()
