"""The role with which API Gateway writes to CloudWatch Logs: one setting per account and Region.

It belongs to the account rather than to a stack, so an API creates it only when asked to. From
version 6 of the provider on, its destruction clears the setting for every API of the Region.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
"""

from collections.abc import Mapping

from cdktf import TerraformProvider
from cdktf_cdktf_provider_aws.api_gateway_account import ApiGatewayAccount
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy_attachment import IamRolePolicyAttachment
from constructs import Construct

from constructs_lib.api.service_trust import service_trust

_MANAGED_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"


class AccountLogRole(Construct):
    """Lets API Gateway write logs in one Region of the account."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        provider: TerraformProvider,
        role_name: str,
        tags: Mapping[str, str],
    ) -> None:
        """Create the role and set it for the account.

        Args:
            scope: The construct that owns it.
            id: Unique within `scope`.
            provider: Provider of the Region.
            role_name: Name of the role, unique in the account.
            tags: Tags of the role.
        """
        super().__init__(scope, id)
        role = IamRole(
            self,
            "role",
            provider=provider,
            name=role_name,
            assume_role_policy=service_trust(
                self, "trust", provider=provider, service="apigateway.amazonaws.com"
            ),
            tags=dict(tags),
        )
        attachment = IamRolePolicyAttachment(
            self, "policy", provider=provider, role=role.id, policy_arn=_MANAGED_POLICY
        )
        self.account = ApiGatewayAccount(
            self,
            "account",
            provider=provider,
            cloudwatch_role_arn=role.arn,
            depends_on=[attachment],
        )
