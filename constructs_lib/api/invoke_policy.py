"""A managed policy for those who call the operations with IAM authorization.

It names each method in every Region. Attach it to the roles that may call them.
"""

from collections.abc import Mapping, Sequence

from cdktf import TerraformProvider
from cdktf_cdktf_provider_aws.data_aws_iam_policy_document import (
    DataAwsIamPolicyDocument,
    DataAwsIamPolicyDocumentStatement,
)
from cdktf_cdktf_provider_aws.iam_policy import IamPolicy
from constructs import Construct

from constructs_lib.api.operation import Authorization, Operation
from constructs_lib.api.regional_api import RegionalApi


class InvokePolicy(Construct):
    """Allows calling each operation that asks for a signature, in every Region; nothing else."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        provider: TerraformProvider,
        name: str,
        apis: Mapping[str, RegionalApi],
        operations: Sequence[Operation],
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the policy.

        Args:
            scope: The construct that owns the policy.
            id: Unique within `scope`.
            provider: Provider of the policy, which is a global resource.
            name: Name of the policy, unique in the account.
            apis: `{region: API}` that may be called.
            operations: Those with IAM authorization are allowed.
            tags: Tags of the policy.

        Raises:
            ValueError: No operation has IAM authorization.

        Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-control-access-using-iam-policies-to-invoke-api.html
        """
        super().__init__(scope, id)
        signed = [o for o in operations if o.authorization is Authorization.IAM]
        if not signed:
            raise ValueError(
                f"none of {', '.join(o.name for o in operations)} has IAM authorization: leave out "
                "the policy"
            )
        document = DataAwsIamPolicyDocument(
            self,
            "document",
            provider=provider,
            statement=[
                DataAwsIamPolicyDocumentStatement(
                    sid=f"Call{region.title().replace('-', '')}",
                    actions=["execute-api:Invoke"],
                    resources=[
                        f"{api.stage_arn}/{operation.method}{operation.path_pattern}"
                        for operation in signed
                    ],
                )
                for region, api in apis.items()
            ],
        )
        self.policy = IamPolicy(
            self,
            "policy",
            provider=provider,
            name=name,
            description="Call the operations with IAM authorization, in every Region",
            policy=document.json,
            tags=dict(tags or {}),
        )

    @property
    def arn(self) -> str:
        """ARN of the policy; a token, known at deployment."""
        return self.policy.arn
