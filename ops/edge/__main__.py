"""Run the edges of all Regions in the foreground: ``python -m ops.edge --config FILE``."""

import sys

from ops.edge.server import main

if __name__ == "__main__":
    sys.exit(main())
