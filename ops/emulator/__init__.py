"""The local AWS: MiniStack in one process, with a small, named set of corrections.

Start it with ``python -m ops.emulator --port 4566``; everything it made is gone when it ends.
"""
