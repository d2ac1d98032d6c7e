"""Least-privilege IAM policies for an environment, generated from its names and tables of actions.

`terraform_actions` and `operator_actions` list what is called, `names` fills in the environment's
own names, `policy` makes documents of it.
"""
