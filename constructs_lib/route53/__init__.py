"""The domain name, its health checks and its routing."""
