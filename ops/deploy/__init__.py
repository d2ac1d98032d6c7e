"""`ops deploy`: changes an environment stack by stack, one Region at a time."""
