"""Where things are in the repository."""

from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
ENVIRONMENTS = sorted((REPOSITORY / "environments").glob("*.toml"))
