"""The multi-Region key."""
