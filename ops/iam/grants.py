"""How the tables of Terraform's actions are written: reads and writes, roles and conditions."""

from ops.iam.policy import Conditions, Grant

ROLE = "iam::{account}:role/{aws_iam_role}"
"""ARN of a role of the stack."""


def read(service: str, actions: str, *resources: str) -> Grant:
    """Grant what a plan needs.

    Args:
        service: Prefix of the actions.
        actions: Names of the actions, separated by white space.
        resources: ARNs without `arn:aws:`, with placeholders.
    """
    return Grant(service, actions, resources)


def write(
    service: str, actions: str, *resources: str, condition: Conditions | None = None
) -> Grant:
    """Grant what an apply or a destroy needs beside the reads.

    Args:
        service: Prefix of the actions.
        actions: Names of the actions, separated by white space.
        resources: ARNs without `arn:aws:`, with placeholders.
        condition: What else must hold.
    """
    return Grant(service, actions, resources, condition or {}, writes=True)


def equals(key: str, *values: str, operator: str = "StringEquals") -> Conditions:
    """Require a condition key to have one of the values.

    Args:
        key: The condition key.
        values: The values, with placeholders.
        operator: How they are compared.
    """
    return {operator: {key: values}}


def service_linked_role(service: str, name: str) -> Grant:
    """Grant the creation of the role that a service needs at the account's first use of it.

    Args:
        service: The service's principal.
        name: Name of the role.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/using-service-linked-roles.html
    """
    return write(
        "iam",
        "CreateServiceLinkedRole",
        f"iam::{{account}}:role/aws-service-role/{service}/{name}",
        condition=equals("iam:AWSServiceName", service),
    )


def pass_role(service: str) -> Grant:
    """Grant giving the stack's roles to a service.

    Args:
        service: The service's principal.
    """
    return write("iam", "PassRole", ROLE, condition=equals("iam:PassedToService", service))
