"""Names of the stacks of an environment, and keys of their states."""

from typing import Any

DATA, ROUTING = "data", "routing"
"""Parts of an environment with the layout `regional`; beside them, each Region is one."""


def parts(settings: Any) -> tuple[str, ...]:
    """The parts of an environment, each of them a stack, in the order of deployment.

    Args:
        settings: The environment.

    Returns:
        `("",)` with the layout `single`.
    """
    if settings.layout == "single":
        return ("",)
    return (DATA, *reversed(settings.regions), ROUTING)


def stack_name(settings: Any, part: str) -> str:
    """Name of the stack of a part.

    Args:
        settings: The environment.
        part: The part; empty for the whole environment.
    """
    return "-".join(filter(None, (settings.name, part)))


def state_key(key: str, part: str) -> str:
    """Key of the state of a part: its name is added before the suffix.

    Args:
        key: The key in the environment file, such as `api/production.tfstate`.
        part: The part; empty for the whole environment.

    Returns:
        For example `api/production-data.tfstate`.
    """
    if not part:
        return key
    folder, slash, file = key.rpartition("/")
    stem, _, suffix = file.rpartition(".")
    named = f"{stem}-{part}.{suffix}" if stem else f"{file}-{part}"
    return f"{folder}{slash}{named}"
