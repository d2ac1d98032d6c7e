"""Whether the operator's credentials last as long as a drill may take."""

from datetime import UTC, datetime

from ops.environment import Environment
from ops.errors import OpsError


def require_lifetime(environment: Environment, seconds: float) -> None:
    """Refuse what would end without credentials to restore what it changed.

    Args:
        environment: The environment.
        seconds: How long it may take.

    Raises:
        OpsError: They expire earlier, or there are none.
    """
    # Refreshes what can be refreshed.
    environment.credentials()
    expiry = getattr(environment.session.get_credentials(), "_expiry_time", None)
    if not isinstance(expiry, datetime):
        return
    left = (expiry - datetime.now(UTC)).total_seconds()
    if left < seconds:
        raise OpsError(
            f"the credentials expire at {expiry:%Y-%m-%d %H:%M:%S} UTC, in {left:.0f} s, and the "
            f"drill may take {seconds:.0f} s: nothing was injected",
            next_step="sign in again, for example with aws sso login, and run the drill again",
        )
