"""The drill: break the primary Region on purpose, and measure what customers saw of it."""
