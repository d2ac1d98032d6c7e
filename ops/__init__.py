"""The tool that operators run: `python -m ops <verb>`.

Every verb is a module that returns dataclasses; `__main__` parses arguments and prints. Terraform
and main.py are run as programs, and what they built is read from `terraform output -json`.
"""
