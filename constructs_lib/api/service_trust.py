"""The trust policy of roles that an AWS service assumes."""

from cdktf import TerraformProvider
from cdktf_cdktf_provider_aws.data_aws_iam_policy_document import (
    DataAwsIamPolicyDocument,
    DataAwsIamPolicyDocumentStatement,
    DataAwsIamPolicyDocumentStatementPrincipals,
)
from constructs import Construct


def service_trust(scope: Construct, id: str, *, provider: TerraformProvider, service: str) -> str:
    """Let a service assume a role.

    Args:
        scope: The construct that owns the policy document.
        id: Unique within `scope`.
        provider: Provider of the role.
        service: The service, such as `lambda.amazonaws.com`.

    Returns:
        JSON of the trust policy; a token.
    """
    return DataAwsIamPolicyDocument(
        scope,
        id,
        provider=provider,
        statement=[
            DataAwsIamPolicyDocumentStatement(
                actions=["sts:AssumeRole"],
                principals=[
                    DataAwsIamPolicyDocumentStatementPrincipals(
                        type="Service", identifiers=[service]
                    )
                ],
            )
        ],
    ).json
