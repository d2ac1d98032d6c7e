"""The local AWS: an emulator, an endpoint per Region, Route 53, and the commands to run it."""
