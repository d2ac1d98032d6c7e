"""Region endpoints: each Region of the sandbox has its own address, speaks TLS, and can fail.

Start them with ``python -m sandbox.region_endpoints --config FILE``; its faults end with the
process.
"""
