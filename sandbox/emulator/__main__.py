"""Run the local AWS in the foreground: ``python -m sandbox.emulator --port 4566``."""

import sys

from sandbox.emulator.server import main

if __name__ == "__main__":
    sys.exit(main())
