"""Run the local AWS in the foreground: ``python -m ops.emulator --port 4566``."""

import sys

from ops.emulator.server import main

if __name__ == "__main__":
    sys.exit(main())
