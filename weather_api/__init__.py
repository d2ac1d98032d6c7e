"""The example application: an API that sells weather data."""
