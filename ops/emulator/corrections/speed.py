"""Waits that teach nothing on one machine: they depart from AWS on purpose, not in any result."""

from __future__ import annotations

import re
from functools import partialmethod
from typing import Any

from ops.emulator.corrections.replacing import module, replace

_OUTPUT_WAIT_SECONDS = 0.005
_CHANGE_INFO = re.compile(rb"<ChangeInfo>.*?</ChangeInfo>", re.DOTALL)


def function_without_output_is_not_waited_for() -> None:
    """A function that wrote no log line answers at once.

    AWS: ships log lines beside the answer, so a caller never waits for them.
    MiniStack 1.5.33: waits 50 ms for a first log line after each invocation. Here it is 5 ms; a
    line that is later still stands in the log stream of the next invocation.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
    """
    runtime = module("core.lambda_runtime")

    def shortening(original: Any) -> Any:
        return partialmethod(original, first_line_wait=_OUTPUT_WAIT_SECONDS)

    replace(runtime.Worker, "_drain_stderr_bounded", shortening)


def terraform_does_not_wait_for_dns_changes() -> None:
    """Terraform does not wait for a Route 53 change that took effect at once.

    AWS: answers each change of a zone with a ``ChangeInfo`` that stands at PENDING for up to a
    minute; the Terraform provider looks for the first time after 30 seconds, and does not look
    without a ``ChangeInfo``.
    MiniStack 1.5.33: answers as AWS does, although the change is already in effect. Only
    Terraform, known by its User-Agent, gets no ``ChangeInfo`` here.

    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetChange.html
    """
    route53 = module("services.route53")

    def answering(original: Any) -> Any:
        async def handle_request(
            method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
        ) -> Any:
            status, answered, content = await original(method, path, headers, body, query)
            if method != "GET" and "terraform-provider-aws" in headers.get("user-agent", ""):
                content = _CHANGE_INFO.sub(b"", content)
            return status, answered, content

        return handle_request

    replace(route53, "handle_request", answering)
