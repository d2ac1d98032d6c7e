"""Who is about to change what: the environment, its account, and whose credentials these are."""

import os
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ops.aws import SANDBOX_CREDENTIALS, ignored_variables
from ops.deadline import started, within
from ops.errors import (
    SIGN_IN,
    OpsError,
    UsageError,
    explain,
    is_about_credentials,
    next_step_for,
)

if TYPE_CHECKING:
    from ops.environment import Environment

TIMEOUT_SECONDS = 4.0
CREDENTIALS_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Identity:
    """An environment, and who is working on it.

    Attributes:
        environment: Name of the environment.
        account_id: Account of these credentials, which is the environment's; None if unknown.
        caller: ARN of the caller; None if unknown.
        regions: Its Regions in order.
        unknown: Why something is unknown; empty if everything is known.
        ignored: Environment variables that are ignored, because they belong to a sandbox.
        primary: The Region that serves while it is healthy; None where none is before the others.
    """

    environment: str
    account_id: str | None
    caller: str | None
    regions: tuple[str, ...]
    unknown: str = ""
    ignored: tuple[str, ...] = ()
    primary: str | None = None

    def __str__(self) -> str:
        parts = (
            f"environment {self.environment}",
            f"account {self.account_id or 'unknown'}",
            f"caller {self.caller or 'unknown'}",
            f"Regions {', '.join(map(self._named, self.regions))}",
        )
        return " · ".join(parts)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the operator should know besides, a line each."""
        ignored = f"{', '.join(self.ignored)}: ignored, because {self.environment} is on AWS"
        return (
            *([f"Unknown: {self.unknown}"] if self.unknown else []),
            *([f"{ignored}. Unset what a sandbox's shell has set."] if self.ignored else []),
        )

    def _named(self, region: str) -> str:
        return f"{region} (primary)" if region == self.primary else region

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def primary_of(environment: "Environment") -> str | None:
    """The Region that serves while it is healthy; None where none is before the others.

    Args:
        environment: The environment.
    """
    return environment.primary if environment.outputs.roles else None


def identify(environment: "Environment") -> Identity:
    """Find out whose credentials these are, and that they are of the environment's account.

    STS in the secondary Region is asked, then the table there: a command of an incident must not
    need the primary.

    Args:
        environment: The environment.

    Raises:
        OpsError: They are of another account, or there are no valid ones.
    """
    is_on_aws = environment.descriptor.endpoint_url is None
    if is_on_aws:
        _check_credentials(environment)
    # Asked at the same time, so that waiting for one is not waiting for both.
    until = time.monotonic() + TIMEOUT_SECONDS * environment.patience
    asked = [started(partial(source, environment)) for source in (_from_sts, _from_table)]
    account, caller, unknown = None, None, []
    for future in asked:
        try:
            account, caller = future.result(max(until - time.monotonic(), 0))
            break
        except Exception as error:
            if is_about_credentials(error):
                raise OpsError(explain(error), next_step=next_step_for(error)) from error
            unknown.append(_without_result(error) or explain(error))
    expected = environment.outputs.account_id
    if account not in (None, expected):
        who = f" ({caller})" if caller else ""
        raise UsageError(
            f"these credentials are of the account {account}{who}, and the environment "
            f"{environment.name} is in the account {expected}; nothing was changed",
            next_step=f"set AWS_PROFILE to a profile of the account {expected}, or name the "
            "environment that you mean",
        )
    return Identity(
        environment.name,
        account,
        caller,
        environment.regions,
        "; ".join(unknown),
        tuple(ignored_variables(os.environ)) if is_on_aws else (),
        primary_of(environment),
    )


def _without_result(error: Exception) -> str:
    is_late = isinstance(error, TimeoutError) and not str(error)
    return f"no result within {TIMEOUT_SECONDS:g} s" if is_late else ""


def _check_credentials(environment: "Environment") -> None:
    session = environment.session

    def fetch() -> Any:
        found = session.get_credentials()
        # Only this calls STS or SSO.
        return found and found.get_frozen_credentials()

    # A person who is asked for a code takes as long as it takes; a program may never return.
    asks_for_code = "mfa_serial" in session._session.get_scoped_config()
    try:
        found = fetch() if asks_for_code else within(CREDENTIALS_TIMEOUT_SECONDS, fetch)
    except TimeoutError as error:
        raise OpsError(
            f"AWS credentials were not there within {CREDENTIALS_TIMEOUT_SECONDS:g} s",
            next_step="check credential_process and source_profile in ~/.aws/config",
        ) from error
    if found is None:
        raise OpsError("no AWS credentials are set", next_step=SIGN_IN)
    if found.access_key == SANDBOX_CREDENTIALS[0]:
        raise UsageError(
            f"these credentials are a sandbox's, and {environment.name} is on AWS",
            next_step="use another shell, or: unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY "
            "AWS_ENDPOINT_URL",
        )


def _from_sts(environment: "Environment") -> tuple[str, str | None]:
    caller = environment.client("sts", environment.secondary).get_caller_identity()
    return str(caller["Account"]), str(caller["Arn"])


def _from_table(environment: "Environment") -> tuple[str, str | None]:
    # By its name: its ARN names the account that is to be found out.
    table = environment.client("dynamodb", environment.secondary).describe_table(
        TableName=environment.outputs.table_name
    )["Table"]
    return str(table["TableArn"]).split(":")[4], None
