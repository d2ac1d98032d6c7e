"""The largest environment that the settings allow: longest names, most tags, highest numbers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import tomlkit
from cdktf import App
from synthesis import Synthesized

import weather_api.stack
from constructs_lib.settings import load
from ops.key_values import TERRAFORM_VARIABLE

REGIONS = ["ap-southeast-1", "ap-northeast-1", "ap-southeast-2"]
"""Three with the longest codes: they are part of names."""
NAME = "e" * 16
"""Of the environment, which is the file's."""


def extremes(*, customers: int, plans: int, account: str = "000000000000") -> str:
    """Write the environment file.

    Args:
        customers: How many, each with two keys.
        plans: How many.
        account: The account.
    """
    label = "d" * 30
    # With the longest Region in front, a certificate takes 64 characters.
    record = f"{label}.{'z' * (64 - len('ap-southeast-1..') - len(label) - len('.org'))}.org"
    values = {
        "regions": REGIONS,
        "routing_policy": "latency",
        "allowed_account_ids": [account],
        "api": {
            "name": "a" * 12,
            "stage": "S" * 32,
            "rate_per_second": 10000.0,
            "burst": 5000,
            "clock_tolerance_seconds": 86400,
            "log_retention_days": 3653,
            "manage_account_log_role": True,
            "execute_api_endpoint": False,
        },
        "table": {"name": "t" * 255, "deletion_protection": False},
        "domain": {
            "zone_name": record.partition(".")[2],
            "record_name": record,
            "create_zone": True,
            "regional_names": True,
        },
        "health_check": {
            "interval_seconds": 10,
            "failure_threshold": 10,
            "reserved_concurrency": 450,
        },
        "encryption": {"customer_managed_key": True},
        "web_acl": {"requests_per_five_minutes": 2000000000},
        "monitoring": {
            "alarms": True,
            "emails": [f"{'m' * 64}@{'e' * 60}.example.com"],
            "dashboard": True,
        },
        "fence_writes": True,
        "capacity": {
            region: {"provisioned_concurrency": 10_000, "concurrency_quota": 1_000_000}
            for region in REGIONS
        },
        "drills": {"fault_injection_service": True, "experiment_minutes": 120},
        "objectives": {
            "rto_seconds": 86400.0,
            "rpo_seconds": 86400.0,
            "proof_days": 3650,
            "sign_records": True,
        },
        "plans": {
            plan_name(number): {
                "rate_per_second": 10000.0,
                "burst": 5000,
                "monthly_quota": 2147483647,
            }
            for number in range(plans)
        },
        "customers": [
            {
                "name": f"c{number:0>31}",
                "plan": plan_name(number % plans),
                "keys": [9998, 9999],
            }
            for number in range(customers)
        ],
        "tags": {f"{number}{'é' * 127}": "値" * 256 for number in range(8)},
        "backend": {"type": "local"},
    }
    return tomlkit.dumps(values)


def plan_name(number: int) -> str:
    """Name a plan, as long as the settings allow."""
    return f"p{number:0>31}"


class Deployment:
    """The largest environment, synthesized and initialized, to plan or apply in a local AWS.

    Attributes:
        addresses: Of all resources.
        keys: Names of all keys.
    """

    def __init__(self, folder: Path, aws: Any, *, customers: int, plans: int):
        file = folder / f"{NAME}.toml"
        file.write_text(extremes(customers=customers, plans=plans), encoding="utf-8")
        app = App(outdir=str(folder / "out"))
        stack = weather_api.stack.build_stack(app, load(file))
        self.addresses = [
            address for address in Synthesized(stack).addresses() if not address.startswith("data.")
        ]
        app.synth()
        self.keys = [name for customer in stack.outputs.customers for name in customer.keys]
        # In a file, as there are too many for a variable.
        self._values = folder / "keys.tfvars.json"
        values = {name: f"{number:a>20}" for number, name in enumerate(self.keys)}
        self._values.write_text(json.dumps({TERRAFORM_VARIABLE: {NAME: values}}))
        self._folder = folder / "out" / "stacks" / NAME
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **aws.variables,
            "CHECKPOINT_DISABLE": "1",
        }
        self._run("init")

    def terraform(self, command: str, *options: str) -> str:
        """What a command with the values of the keys prints."""
        return self._run(command, f"-var-file={self._values}", *options)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["terraform", *arguments, "-input=false", "-no-color"],
            cwd=self._folder, env=self._environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        return done.stdout
