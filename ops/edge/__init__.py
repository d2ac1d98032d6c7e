"""Region edges: each local Region answers on an address of its own, over TLS, and can be broken.

Start them with ``python -m ops.edge --config FILE``; what is injected ends with the process.
"""
