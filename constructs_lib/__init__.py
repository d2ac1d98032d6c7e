"""Reusable constructs of a REST API that survives the loss of an AWS Region."""
