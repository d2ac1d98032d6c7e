"""Gives new versions of functions their share of a Region's requests, by the functions' aliases.

Terraform publishes versions; in stacks that this tool deploys, it leaves the aliases to this tool.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from ops.deploy.serving import regions_of
from ops.environment import Environment
from ops.errors import OpsError
from ops.metrics import metric_data
from ops.stacks import STACK_FILE
from ops.verify.api_gateway import routes_of
from ops.verify.capacity import NOT_PROVISIONED

ERROR_SHARE = 0.01
"""Share of a new version's invocations that may end with an exception or a timeout."""
_ALIASES = "aws_lambda_alias"
_HELD = ("function_version", "routing_config")
_METRICS = ("Invocations", "Errors")
_PERIOD_SECONDS = 60
_POLL_SECONDS = 0.5
_ALLOCATION_SECONDS = 900.0
"""How long the environments of a version may take to be ready; AWS takes some minutes."""
_LONGEST = timedelta(days=1)
"""A bake time is no longer. A version counts as a part of an alias only while it has a weight."""

_Alias = tuple[str, str, str]
"""Region, function and name."""


def hold_aliases(folder: Path) -> None:
    """Let Terraform leave the aliases of a synthesized stack where they point.

    Args:
        folder: Folder of the stack.

    Raises:
        OpsError: It cannot be read or written.

    Source: https://developer.hashicorp.com/terraform/language/meta-arguments/lifecycle
    """
    file = folder / STACK_FILE
    try:
        stack: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        aliases: dict[str, Any] = stack.get("resource", {}).get(_ALIASES, {})
        for alias in aliases.values():
            lifecycle = alias.setdefault("lifecycle", {})
            lifecycle["ignore_changes"] = sorted({*lifecycle.get("ignore_changes", ()), *_HELD})
        if aliases:
            file.write_text(json.dumps(stack, indent=2), encoding="utf-8")
    except (OSError, ValueError, AttributeError) as error:
        raise OpsError(
            f"{file} cannot be read as a synthesized stack, or not be written: {error}",
            next_step="remove its folder, and run the command again",
        ) from error


@dataclass
class Aliases:
    """The aliases behind the routes of an environment's APIs.

    Attributes:
        environment: The environment.
        sleep: Waits for so many seconds.
    """

    environment: Environment
    sleep: Callable[[float], None] = time.sleep
    _before: dict[_Alias, str] = field(default_factory=dict)
    """`{alias: the version that it pointed to}`."""
    _shared: dict[_Alias, str] = field(default_factory=dict)
    """`{alias: the version that it gives a share}`."""

    def regions(self, stack: str) -> tuple[str, ...]:
        """Regions of the functions of a stack, in the order of release: the primary last.

        Args:
            stack: Name of the stack.
        """
        return regions_of(self.environment, stack)[::-1]

    def has_unserved(self, stack: str) -> bool:
        """Whether the newest version of a function of a stack does not get all of its requests.

        Args:
            stack: Name of the stack.
        """
        return any(
            weights or self._newest(alias) != version
            for region in regions_of(self.environment, stack)
            for alias, version, weights in self._in(region)
        )

    def share(self, region: str, share: float) -> int:
        """Give the newest version of each function in a Region a share of its requests.

        An alias with provisioned concurrency can have no weights: its newest version gets none.

        Args:
            region: The Region.
            share: More than 0, and less than 1.

        Returns:
            How many functions have a version that is newer than the one that serves.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
        """
        shared = 0
        for alias, version, _ in self._in(region):
            if (newest := self._newest(alias)) == version or self._provisioned(alias):
                continue
            self._before.setdefault(alias, version)
            self._point(alias, version, {newest: share})
            self._shared[alias] = newest
            shared += 1
        return shared

    def release(self, region: str) -> None:
        """Give the newest version of each function in a Region all requests.

        With provisioned concurrency, Lambda itself keeps the requests on the version before until
        the environments of the newest are ready, which is waited for.

        Args:
            region: The Region.

        Raises:
            OpsError: Provisioned concurrency is not allocated.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html
        """
        waiting: list[_Alias] = []
        for alias, version, weights in self._in(region):
            if (newest := self._newest(alias)) != version or weights:
                # Of one that points there already, the weight is Lambda's own.
                if newest != version or not self._provisioned(alias):
                    self._before.setdefault(alias, version)
                    self._point(alias, newest, {})
                waiting.append(alias)
            self._shared.pop(alias, None)
        self._await_provisioned(waiting)

    def restore(self, stack: str) -> None:
        """Give all requests to the version that served before; without a share if not known.

        Args:
            stack: Name of the stack.
        """
        for region in regions_of(self.environment, stack):
            for alias, version, weights in self._in(region):
                before = self._before.pop(alias, version)
                if before != version or weights:
                    self._point(alias, before, {})
                self._shared.pop(alias, None)

    def problem(self, region: str) -> str:
        """Say which new versions end with errors; empty if none does.

        Args:
            region: The Region.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
        """
        shared = {each: version for each, version in self._shared.items() if each[0] == region}
        if not shared:
            return ""
        counts = self._counts(region, shared)
        for (alias, version), (invocations, errors) in zip(shared.items(), counts, strict=True):
            if errors > invocations * ERROR_SHARE:
                return (
                    f"{region}: {errors:g} of {invocations:g} invocations of version {version} of "
                    f"{alias[1]}, which has a share of the requests, ended with an error"
                )
        return ""

    def _in(self, region: str) -> Iterator[tuple[_Alias, str, dict[str, float]]]:
        """Aliases in a Region, the version that each points to, and weights of others."""
        routes = routes_of(self.environment, region).values()
        functions = {(r.function, r.alias) for r in routes if r.function and r.alias}
        for name, alias in sorted(functions):
            found = self._lambda(region).get_alias(FunctionName=name, Name=alias)
            yield (region, name, alias), found["FunctionVersion"], _weights(found)

    def _provisioned(self, alias: _Alias) -> dict[str, Any] | None:
        """The provisioned concurrency of an alias; None without."""
        region, name, qualifier = alias
        try:
            found: dict[str, Any] = self._lambda(region).get_provisioned_concurrency_config(
                FunctionName=name, Qualifier=qualifier
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != NOT_PROVISIONED:
                raise
            return None
        return found

    def _await_provisioned(self, aliases: Sequence[_Alias]) -> None:
        access = self.environment.descriptor.sandbox
        left = _ALLOCATION_SECONDS / (access.speed if access else 1.0)
        for region, name, qualifier in aliases:
            while found := self._provisioned((region, name, qualifier)):
                if found["Status"] == "FAILED":
                    raise OpsError(
                        f"the provisioned concurrency of {name} in {region} is not allocated: "
                        f"{found.get('StatusReason', 'Lambda gives no reason')}",
                        next_step="see the log of the function: the new version may not start; or "
                        "lower the number in [capacity] of the environment file",
                    )
                alias = self._lambda(region).get_alias(FunctionName=name, Name=qualifier)
                # Right after the alias was moved, it can still be READY for the version before.
                if found["Status"] == "READY" and not _weights(alias):
                    break
                if left <= 0:
                    raise OpsError(
                        f"the provisioned concurrency of {name} in {region} is not allocated: "
                        f"{found.get('AvailableProvisionedConcurrentExecutions', 0)} of "
                        f"{found['RequestedProvisionedConcurrentExecutions']} are available",
                        next_step="wait until it is READY, then finish with ops deploy resume",
                    )
                self.sleep(_POLL_SECONDS)
                left -= _POLL_SECONDS

    def _newest(self, alias: _Alias) -> str:
        region, name, _ = alias
        pages = self._lambda(region).get_paginator("list_versions_by_function")
        numbers = [
            int(version["Version"])
            for page in pages.paginate(FunctionName=name)
            for version in page["Versions"]
            if version["Version"].isdigit()
        ]
        return str(max(numbers))

    def _point(self, alias: _Alias, version: str, weights: dict[str, float]) -> None:
        region, name, qualifier = alias
        # Weights that are left out stay as they are.
        self._lambda(region).update_alias(
            FunctionName=name,
            Name=qualifier,
            FunctionVersion=version,
            RoutingConfig={"AdditionalVersionWeights": weights},
        )

    def _counts(self, region: str, shared: dict[_Alias, str]) -> list[list[float]]:
        """Invocations and errors of each."""
        now = datetime.now(UTC)
        queries = [
            {
                "Id": f"m{number}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/Lambda",
                        "MetricName": metric,
                        "Dimensions": [
                            {"Name": "FunctionName", "Value": name},
                            {"Name": "Resource", "Value": f"{name}:{alias}"},
                            {"Name": "ExecutedVersion", "Value": version},
                        ],
                    },
                    "Period": _PERIOD_SECONDS,
                    "Stat": "Sum",
                },
            }
            for number, ((_, name, alias), version, metric) in enumerate(
                (each, version, metric) for each, version in shared.items() for metric in _METRICS
            )
        ]
        sums = dict.fromkeys((each["Id"] for each in queries), 0.0)
        begun, end = now - _LONGEST, now + timedelta(seconds=_PERIOD_SECONDS)
        for result in metric_data(self.environment, region, queries, start=begun, end=end):
            sums[result["Id"]] += sum(result["Values"])
        values = list(sums.values())
        return [values[i : i + len(_METRICS)] for i in range(0, len(values), len(_METRICS))]

    def _lambda(self, region: str) -> Any:
        return self.environment.client("lambda", region)


def _weights(alias: Mapping[str, Any]) -> dict[str, float]:
    """`{version: weight}` of the versions beside an alias's own."""
    weights: dict[str, float] = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
    return weights
