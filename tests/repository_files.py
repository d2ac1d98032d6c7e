"""Where things are in the repository."""

from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
ENVIRONMENTS = sorted((REPOSITORY / "environments").glob("*.toml"))
"""Every environment of this checkout, a user's own among them."""
SHIPPED = ("example", "local")
"""The environments that come with the project."""
