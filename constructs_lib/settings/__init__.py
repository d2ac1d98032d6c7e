"""The settings of an environment: schema, validation and errors."""

from constructs_lib.settings.errors import SettingsError
from constructs_lib.settings.schema import Settings, load

__all__ = ["Settings", "SettingsError", "load"]
