"""What stops a command, as the operator reads it: what failed, and the next step."""

import builtins
import re
import socket
from enum import IntEnum

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    LoginError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    SSLError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

LONGEST_EXPLANATION = 300
_LINES_OF_A_PROGRAM = 25
_FULL_DISK = re.compile(r"no space left on device|ENOSPC|disk quota exceeded|EDQUOT", re.IGNORECASE)
SIGN_IN = "sign in again, for example with aws sso login, or set AWS_PROFILE"
THROTTLING = frozenset(
    {
        *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException"),
        *("TooManyRequestsException", "ProvisionedThroughputExceededException", "SlowDown"),
        *("RequestLimitExceeded", "BandwidthLimitExceeded", "LimitExceededException"),
        *("RequestThrottled", "PriorRequestNotComplete", "EC2ThrottledException"),
    }
)
"""Codes of requests that AWS refused because there were too many.

Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
"""
WRITE_CONFLICT = "ReplicatedWriteConflictException"
"""Another Region is writing the item of a strongly consistent table; nothing was written here.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
"""
_INVALID_CREDENTIALS = frozenset(
    {
        *("ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId"),
        *("UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException"),
        *("InvalidAccessKeyId", "InvalidToken", "AuthFailure", "IncompleteSignature"),
        *("MissingAuthenticationToken", "MissingAuthenticationTokenException"),
    }
)
_DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "ForbiddenException"}
)
_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    SSOError,
    TokenRetrievalError,
    LoginError,
)
_CONFIGURATION = (ProfileNotFound, ConfigParseError, ConfigNotFound)
FAILURES = (BotoCoreError, ClientError, ResponseParserError)
"""What a client of AWS raises."""


class ExitCode(IntEnum):
    """Exit codes of every command."""

    PASSED = 0
    """It did what was asked; every check passed."""
    CHECK_FAILED = 1
    """It ran, and something it checked is not as it should be."""
    USAGE = 2
    """Wrong arguments, or an error in an environment file."""
    PREREQUISITE = 3
    """Something it needs is broken or missing: Terraform, the provider, a port, the network."""


class OpsError(Exception):
    """A command that cannot continue.

    Attributes:
        next_step: What the operator can do about it.
        exit_code: The exit code of the program.
    """

    def __init__(
        self, message: str, *, next_step: str, exit_code: ExitCode = ExitCode.PREREQUISITE
    ) -> None:
        super().__init__(message)
        self.next_step = next_step
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{super().__str__()}\n  Next: {self.next_step}"


class UsageError(OpsError):
    """Wrong arguments, or a file of the operator's that cannot be used as it is."""

    def __init__(self, message: str, *, next_step: str) -> None:
        super().__init__(message, next_step=next_step, exit_code=ExitCode.USAGE)


def program_failure(
    what: str, output: str, *, next_step: str, exit_code: ExitCode = ExitCode.PREREQUISITE
) -> OpsError:
    """Say why a program failed: by the end of what it printed, or by one line if the disk is full.

    What a program advises on a full disk, such as to keep a state that it has printed, is no help,
    and neither is a traceback.

    Args:
        what: What failed, such as `terraform apply failed`.
        output: What the program printed.
        next_step: What the operator can do about it, unless the disk is full.
        exit_code: The exit code, unless the disk is full.
    """
    lines = output.strip().splitlines()
    for line in lines:
        if _FULL_DISK.search(line):
            return OpsError(
                f"{what}: {_one_line(line)}", next_step="free some space, and run the command again"
            )
    end = "\n".join(lines[-_LINES_OF_A_PROGRAM:])
    return OpsError(f"{what}:\n{end}" if end else what, next_step=next_step, exit_code=exit_code)


def explain(error: Exception) -> str:
    """Say what an exception means, without the next step.

    Args:
        error: The exception.
    """
    if isinstance(error, OpsError):
        return str(error.args[0])
    if isinstance(error, BotoCoreError | ClientError):
        return f"an AWS request failed: {_one_line(str(error))}"
    if isinstance(error, ResponseParserError):
        return f"an AWS response cannot be understood: {_one_line(str(error))}"
    return _one_line(f"{type(error).__name__}: {error}")


def next_step_for(error: Exception) -> str:
    """Say what the operator can do about an exception.

    Args:
        error: The exception.
    """
    if isinstance(error, OpsError):
        return error.next_step
    if is_about_credentials(error):
        if isinstance(error, ProfileNotFound):
            return "set AWS_PROFILE to one of `aws configure list-profiles`, or unset it"
        if isinstance(error, _CONFIGURATION):
            return "fix AWS's configuration on this machine: ~/.aws/config, ~/.aws/credentials"
        return SIGN_IN
    if is_throttled(error):
        return "wait a minute, and run the command again"
    if isinstance(error, ClientError) and _code(error) in _DENIED:
        return "sign in with a role that allows this request"
    if isinstance(error, SSLError):
        return "unset AWS_CA_BUNDLE if it is a sandbox's; behind a proxy, trust its authority"
    if isinstance(error, ProxyConnectionError):
        return "check HTTPS_PROXY and NO_PROXY"
    if isinstance(error, FAILURES):
        return "check that the Region is reachable and that these credentials allow this request"
    if isinstance(error, TimeoutError | builtins.ConnectionError | socket.gaierror):
        return "check that the Region responds, and that this machine can reach it"
    if isinstance(error, OSError):
        return "check permissions, free space and the network of this machine"
    return "run the command again; if it fails again, report it as a bug"


def is_about_credentials(error: Exception) -> bool:
    """Whether an exception is about who is asking, and would come with every request.

    Args:
        error: The exception.
    """
    if isinstance(error, ClientError):
        return _code(error) in _INVALID_CREDENTIALS
    return isinstance(error, (*_NO_CREDENTIALS, *_CONFIGURATION))


def is_throttled(error: Exception) -> bool:
    """Whether AWS refused a request because there were too many.

    Args:
        error: The exception.
    """
    return isinstance(error, ClientError) and _code(error) in THROTTLING


def is_unreadable(error: Exception) -> bool:
    """Whether an exception says nothing of what was asked about: it could not be read.

    Args:
        error: The exception.
    """
    if isinstance(error, OpsError):
        return error.exit_code is not ExitCode.CHECK_FAILED
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        passing = is_throttled(error) or _code(error) == WRITE_CONFLICT
        unread = passing or is_about_credentials(error) or _code(error) in _DENIED
        return unread or status == 429 or status >= 500
    kinds = (ConnectionError, HTTPClientError, ResponseParserError, TimeoutError)
    return isinstance(error, kinds) or is_about_credentials(error)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:LONGEST_EXPLANATION]
