"""What one operation of an API is: plain values, without cdktf, for whoever describes an API."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

Method = Literal["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"]

METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
"""Methods that write nothing, unless an operation declares otherwise.

Source: https://www.rfc-editor.org/rfc/rfc9110#section-9.2.1
"""


class Authorization(Enum):
    """Who may call an operation."""

    NONE = "none"
    """Everybody."""
    API_KEY = "api key"
    """Callers with the API key of a usage plan, in the header `x-api-key`."""
    IAM = "iam"
    """AWS principals allowed `execute-api:Invoke`, with signed requests.

    A Signature Version 4 holds for one Region: behind a name that several Regions share, callers
    sign with Version 4A, or sign for the Region that the name resolves to, and re-sign after a 403.
    """


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of a REST API: a method on a path, served by one Lambda function.

    Attributes:
        name: Name of the operation, of its function and of the module that holds its `handler`:
            1 to 32 lowercase letters, digits and underscores.
        method: HTTP method.
        path: Path below the stage, with parameters in braces: `/orders/{order}`.
        access: IAM actions on the table that the function needs, such as `dynamodb:GetItem`;
            empty for none.
        write_partitions: Partition keys of the items that it may write; empty for all.
        writes: Whether it writes, and so is fenced where the environment fences writes; None for
            by its method: all but GET, HEAD and OPTIONS do.
        environment: Environment variables of the function, beside those of every function.
        authorization: Who may call it. Required: an omission must not open it to everybody.
        request_model: JSON Schema (draft 4) of the request body; API Gateway rejects other bodies
            with 400. None accepts any body.
        query_parameters: `{name: required}` of the query string; a request without a required one
            is rejected with 400.
        rate_per_second: Steady requests per second before this operation throttles; None for the
            API's limit.
        burst: Requests that may arrive at once; None for the API's limit.
        timeout_seconds: Time limit of the function, 1 to 29 (API Gateway waits 29).
        memory_megabytes: Memory of the function, 128 to 10240; its CPU grows with it.
        reserved_concurrency: Concurrent invocations kept for the function, which are also the most
            that it gets, out of the account's quota in the Region; None shares the quota with all.

    Raises:
        ValueError: A value is outside of its limits; the message names it and the fix.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
    """

    name: str
    method: Method
    path: str
    authorization: Authorization
    access: tuple[str, ...] = ()
    write_partitions: tuple[str, ...] = ()
    writes: bool | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    request_model: Mapping[str, Any] | None = None
    query_parameters: Mapping[str, bool] = field(default_factory=dict)
    rate_per_second: float | None = None
    burst: int | None = None
    timeout_seconds: int = 20
    memory_megabytes: int = 256
    reserved_concurrency: int | None = None

    def __post_init__(self) -> None:
        rules = [
            (
                re.fullmatch(r"[a-z][a-z0-9_]{0,31}", self.name),
                f"name {self.name!r}",
                "1 to 32 lowercase letters, digits and underscores, starting with a letter",
            ),
            (self.method in METHODS, f"method {self.method!r}", f"one of {', '.join(METHODS)}"),
            (
                re.fullmatch(r"(/([A-Za-z0-9._-]+|\{[A-Za-z0-9_]+\}))+", self.path),
                f"path {self.path!r}",
                "segments of letters, digits and ._- or {parameters}, each after a slash, "
                "as in /orders/{order}",
            ),
            (
                len(set(self.path_parameters)) == len(self.path_parameters),
                f"path {self.path!r}",
                "every parameter once",
            ),
            (
                (self.rate_per_second is None) == (self.burst is None),
                f"rate_per_second {self.rate_per_second} with burst {self.burst}",
                "both, or neither for the API's limits",
            ),
            (
                1 <= self.timeout_seconds <= 29,
                f"timeout_seconds {self.timeout_seconds}",
                "1 to 29, because API Gateway waits 29 seconds",
            ),
            (
                128 <= self.memory_megabytes <= 10240,
                f"memory_megabytes {self.memory_megabytes}",
                "128 to 10240",
            ),
            (
                self.reserved_concurrency is None or self.reserved_concurrency > 0,
                f"reserved_concurrency {self.reserved_concurrency}",
                "1 or more; 0 would stop the function",
            ),
        ]
        for holds, value, allowed in rules:
            if not holds:
                raise ValueError(f"operation {self.name!r}: got {value}; allowed: {allowed}")

    @property
    def is_write(self) -> bool:
        """Whether it writes: as declared, else by its method."""
        return self.method not in SAFE_METHODS if self.writes is None else self.writes

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """Names of the parameters of the path, in order."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    @property
    def path_pattern(self) -> str:
        """The path with `*` for every parameter, as permissions and ARNs write it."""
        return re.sub(r"\{\w+\}", "*", self.path)

    @property
    def handler(self) -> str:
        """The function's entry point, `<module>.handler`."""
        return f"{self.name}.handler"
