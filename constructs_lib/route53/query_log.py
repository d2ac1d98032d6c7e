"""A log of the DNS queries for a hosted zone, in CloudWatch Logs.

Creates the log group, what lets Route 53 write to it, and the configuration of the zone, which has
at most one. Resolvers cache answers: what they do not ask again is not in the log.

Limits: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/query-logs.html
"""

from cdktf import Fn, TerraformProvider
from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.cloudwatch_log_resource_policy import CloudwatchLogResourcePolicy
from cdktf_cdktf_provider_aws.data_aws_iam_policy_document import (
    DataAwsIamPolicyDocument,
    DataAwsIamPolicyDocumentStatement,
    DataAwsIamPolicyDocumentStatementCondition,
    DataAwsIamPolicyDocumentStatementPrincipals,
)
from cdktf_cdktf_provider_aws.route53_query_log import Route53QueryLog
from constructs import Construct

QUERY_LOG_REGION = "us-east-1"
"""The one Region where Route 53 writes queries.

Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateQueryLoggingConfig.html
"""


class QueryLog(Construct):
    """The queries that resolvers send to Route 53 for all names of a public zone."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        provider: TerraformProvider,
        name: str,
        zone_name: str,
        zone_id: str,
        retention_days: int,
        kms_key_arn: str | None = None,
    ) -> None:
        """Create the log group, its policy and the configuration.

        Args:
            scope: The construct that owns it.
            id: Unique within `scope`; it is the start of every resource address.
            provider: Provider of `QUERY_LOG_REGION`.
            name: Name of the policy; an account has up to 10 in a Region.
            zone_name: Name of the zone, without a trailing dot.
            zone_id: Its id.
            retention_days: Days that queries are kept.
            kms_key_arn: Key of `QUERY_LOG_REGION` that encrypts them; None for CloudWatch's own.

        Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateQueryLoggingConfig.html
        """
        super().__init__(scope, id)
        self.log_group = CloudwatchLogGroup(
            self,
            "group",
            provider=provider,
            name=f"/aws/route53/{zone_name}",
            retention_in_days=retention_days,
            kms_key_id=kms_key_arn,
        )
        self.log_group.override_logical_id(f"{id}_group")
        document = DataAwsIamPolicyDocument(
            self,
            "document",
            provider=provider,
            statement=[
                DataAwsIamPolicyDocumentStatement(
                    actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                    resources=[f"{self.log_group.arn}:*"],
                    principals=[
                        DataAwsIamPolicyDocumentStatementPrincipals(
                            type="Service", identifiers=["route53.amazonaws.com"]
                        )
                    ],
                    # Route 53 serves other accounts, too: only for this zone of this one.
                    condition=[
                        DataAwsIamPolicyDocumentStatementCondition(
                            test="ArnEquals",
                            variable="aws:SourceArn",
                            values=[f"arn:aws:route53:::hostedzone/{zone_id}"],
                        ),
                        DataAwsIamPolicyDocumentStatementCondition(
                            test="StringEquals",
                            variable="aws:SourceAccount",
                            values=[Fn.element(Fn.split(":", self.log_group.arn), 4)],
                        ),
                    ],
                )
            ],
        )
        policy = CloudwatchLogResourcePolicy(
            self, "policy", provider=provider, policy_name=name, policy_document=document.json
        )
        policy.override_logical_id(f"{id}_policy")
        configuration = Route53QueryLog(
            self,
            "configuration",
            provider=provider,
            zone_id=zone_id,
            cloudwatch_log_group_arn=self.log_group.arn,
            # Route 53 refuses a log group that it may not write to.
            depends_on=[policy],
        )
        configuration.override_logical_id(id)
