"""`python -m constructs_lib FILE...`: checks environment files, without synthesizing them.

Exit codes: 0 all are valid, 2 one is not; every fault is told.
"""

import sys
from pathlib import Path

from constructs_lib.settings import SettingsError, load


def main(paths: list[str]) -> int:
    """Checks the files.

    Args:
        paths: Where they are.

    Returns:
        The exit code.
    """
    faulty = False
    for path in paths:
        try:
            load(Path(path))
        except SettingsError as error:
            print(error, file=sys.stderr)
            faulty = True
    return 2 if faulty else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
