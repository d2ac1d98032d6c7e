"""The drill: inject a fault into the primary Region, and measure what customers see of it."""
