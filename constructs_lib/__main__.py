"""`python -m constructs_lib FILE...`: validate environment files without synthesizing them.

Exit codes: 0 all are valid, 2 at least one is not; every error is printed.
"""

import sys
from pathlib import Path

from constructs_lib.settings import SettingsError, load


def main(paths: list[str]) -> int:
    """Validate the files.

    Args:
        paths: Where they are.

    Returns:
        The exit code.
    """
    valid = True
    for path in paths:
        try:
            load(Path(path))
        except SettingsError as error:
            print(error, file=sys.stderr)
            valid = False
    return 0 if valid else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
