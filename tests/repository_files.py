"""Where things are in the repository."""

import shutil
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
ENVIRONMENTS = sorted((REPOSITORY / "environments").glob("*.toml"))
"""Every environment of this checkout, a user's own among them."""
SHIPPED = ("example", "local")
"""The environments that come with the project."""


def copy_program(folder: Path) -> None:
    """Copy what synthesizes and operates the API, for a test that changes it.

    Args:
        folder: Where to; it exists.
    """
    for name in (
        *("cdktf_bindings", "constructs_lib", "environments", "lambda_src", "ops", "sandbox"),
        "weather_api",
    ):
        shutil.copytree(REPOSITORY / name, folder / name)
    for name in ("main.py", "cdktf.json"):
        shutil.copy(REPOSITORY / name, folder)
