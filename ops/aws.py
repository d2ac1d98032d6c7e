"""Sessions and clients of AWS: bounded waits, retries, and nothing of another shell's.

Variables and files of AWS's configuration choose the operator's credentials. They never redirect
an environment on AWS to another endpoint, and never reach a sandbox, which has credentials of its
own that everybody knows.
"""

import json
import os
import random
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES as SESSION_VARIABLES
from botocore.exceptions import (
    ConnectionError,
    ConnectTimeoutError,
    HTTPClientError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from ops.deadline import within
from ops.errors import THROTTLING, WRITE_CONFLICT
from ops.http_client import is_loopback

CONNECT_TIMEOUT_SECONDS = 2
READ_TIMEOUT_SECONDS = 5.0
STS_SECONDS = 2.5
"""How long STS of one Region may take, if there is another one."""
MAX_ATTEMPTS = 3
MAX_ATTEMPTS_AFTER_TIMEOUT = 2
MAX_ATTEMPTS_THROTTLED = 8
BACKOFF_SECONDS = 0.2
MAX_BACKOFF_SECONDS = 2.0
_PASSING = (ConnectionError, HTTPClientError, ResponseParserError)
SANDBOX_CREDENTIALS = ("test", "test")
"""Known to everybody: a sandbox is reached from this machine only."""


def session_for(
    endpoint_url: str | None, region: str, *, otherwise: Sequence[str] = ()
) -> boto3.Session:
    """Open an AWS session.

    Args:
        endpoint_url: URL of every AWS service of a sandbox; None for AWS.
        region: Default Region, whose STS gives the credentials of a role.
        otherwise: The Regions to take in its place, in order, if STS does not respond there.

    Raises:
        BotoCoreError: The profile does not exist, or AWS's configuration cannot be read.
    """
    if endpoint_url is None:
        *regions, last = (region, *otherwise)
        for each in regions:
            session = _on_aws(each)
            if _has_credentials(session):
                return session
        return _on_aws(last)
    nowhere: dict[str, Any] = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    session = botocore.session.Session({**SESSION_VARIABLES, **nowhere})
    return made_robust(
        boto3.Session(*SANDBOX_CREDENTIALS, botocore_session=session, region_name=region)
    )


def _on_aws(region: str) -> boto3.Session:
    session = botocore.session.Session()
    # For the clients, too, that credentials are fetched with: STS and SSO.
    session.set_config_variable("ignore_configured_endpoint_urls", True)
    # The global endpoint is in one Region, which may be the one that is lost.
    session.set_config_variable("sts_regional_endpoints", "regional")
    return made_robust(boto3.Session(botocore_session=session, region_name=region))


def _has_credentials(session: boto3.Session) -> bool:
    """Whether the credentials of a session are there, or would not be in another Region either."""
    profile = session._session.get_scoped_config()
    by_role = "role_arn" in profile or "AWS_ROLE_ARN" in os.environ
    # A person who is asked for a code is not asked twice.
    if not by_role or "mfa_serial" in profile:
        return True

    def fetch() -> None:
        if found := session.get_credentials():
            found.get_frozen_credentials()

    try:
        within(STS_SECONDS, fetch)
    except (TimeoutError, ConnectionError, HTTPClientError):
        return False
    except Exception:  # whoever needs the credentials reports it
        return True
    return True


def made_robust(session: boto3.Session) -> boto3.Session:
    """Let the clients of a session repeat what may succeed, and refuse what is not from AWS.

    Args:
        session: The session.
    """
    session.events.register_first("needs-retry", _retry_delay)
    session.events.register_first("after-call", _refuse_malformed)
    return session


def client_of(
    session: Any,
    service: str,
    region: str,
    endpoint_url: str | None,
    *,
    read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
) -> Any:
    """Make a client with short time limits.

    Args:
        session: A boto3 session.
        service: Name of the service, as boto3 spells it.
        region: The Region.
        endpoint_url: URL of the service; None for AWS's own.
        read_timeout_seconds: Longest wait for a response.
    """
    return session.client(
        service,
        region_name=region,
        endpoint_url=endpoint_url,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=read_timeout_seconds,
            # The session's retries decide alone.
            retries={"mode": "standard", "total_max_attempts": 1},
            ignore_configured_endpoint_urls=True,
            # A table's ARN would choose a host name per account, which proxies and VPC endpoints
            # may not know.
            account_id_endpoint_mode="disabled",
        ),
    )


def ignored_variables(environment_variables: Mapping[str, str]) -> list[str]:
    """Names of variables that would redirect AWS's clients, and do not here.

    Args:
        environment_variables: The process's environment.
    """
    return sorted(n for n in environment_variables if n.startswith("AWS_ENDPOINT_URL"))


def without_sandbox_endpoints(environment_variables: Mapping[str, str]) -> dict[str, str]:
    """Leave out the variables with which a sandbox's shell redirects programs to it.

    Args:
        environment_variables: The process's environment.
    """
    return {
        name: value
        for name, value in environment_variables.items()
        if not name.startswith("AWS_ENDPOINT_URL")
        or not is_loopback(urlsplit(value).hostname or "")
    }


def _refuse_malformed(http_response: Any, model: Any, **_: Any) -> None:
    """Refuse a response that is not JSON, which botocore takes for an empty one.

    A proxy's page, for example, would say that an item does not exist.
    """
    protocol = model.service_model.metadata["protocol"]
    # The content of an S3 object can be read once only, by whoever asked for it.
    if http_response.status_code >= 300 or "json" not in protocol:
        return
    content = http_response.content
    if not content and protocol == "rest-json":
        return
    try:
        json.loads(content)
    except ValueError as error:
        raise ResponseParserError(f"{model.name}: the response is not JSON") from error


def _retry_delay(
    attempts: int,
    response: tuple[Any, Mapping[str, Any]] | None,
    caught_exception: Exception | None,
    **_: Any,
) -> float | None:
    """Seconds until the next attempt; None for no further one.

    Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
    """
    if response is not None:
        status = response[1].get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = response[1].get("Error", {}).get("Code", "")
        throttled = status == 429 or code in THROTTLING
        repeatable = status >= 500 or code == WRITE_CONFLICT
        limit = MAX_ATTEMPTS_THROTTLED if throttled else MAX_ATTEMPTS if repeatable else 1
    elif isinstance(caught_exception, ConnectTimeoutError | ReadTimeoutError):
        limit = MAX_ATTEMPTS_AFTER_TIMEOUT
    else:
        passing = isinstance(caught_exception, _PASSING)
        limit = MAX_ATTEMPTS if passing else 1
    if attempts >= limit:
        return None
    longest = min(MAX_BACKOFF_SECONDS, BACKOFF_SECONDS * 2 ** (attempts - 1))
    return random.uniform(longest / 2, longest)
