"""Checks of what is synthesized by tools that know AWS's good practice."""
