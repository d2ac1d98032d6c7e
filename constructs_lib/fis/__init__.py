"""Drills with AWS Fault Injection Service."""
