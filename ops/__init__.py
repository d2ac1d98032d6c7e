"""The tool that operators run: `python -m ops COMMAND`.

Every command is a module that returns dataclasses; `ops.cli` parses arguments and prints. Terraform
and main.py are run as programs, and what they built is read from `terraform output -json`.
"""
