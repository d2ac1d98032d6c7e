"""``python -m sandbox.region_endpoints --config FILE``: serves all Regions in the foreground."""

import sys

from sandbox.region_endpoints.server import main

if __name__ == "__main__":
    sys.exit(main())
