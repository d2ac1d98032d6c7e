"""An experiment that pauses a table's replication from and to one Region, for drills to start.

Creates the experiment template of AWS Fault Injection Service (FIS), the role that FIS assumes, and
the log group of its experiments. It starts no experiment. FIS denies the table's replication role
its requests to the replica by a statement in the replica's resource policy, which expires and which
FIS removes; on AWS, replication may continue for up to five minutes after that.

Source: https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html
"""

from collections.abc import Sequence

from cdktf import Fn, TerraformProvider
from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.data_aws_iam_policy_document import (
    DataAwsIamPolicyDocument,
    DataAwsIamPolicyDocumentStatement,
    DataAwsIamPolicyDocumentStatementCondition,
    DataAwsIamPolicyDocumentStatementPrincipals,
)
from cdktf_cdktf_provider_aws.fis_experiment_template import (
    FisExperimentTemplate,
    FisExperimentTemplateAction,
    FisExperimentTemplateActionParameter,
    FisExperimentTemplateActionTarget,
    FisExperimentTemplateExperimentOptions,
    FisExperimentTemplateLogConfiguration,
    FisExperimentTemplateLogConfigurationCloudwatchLogsConfiguration,
    FisExperimentTemplateStopCondition,
    FisExperimentTemplateTarget,
)
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from constructs import Construct

ACTION = "aws:dynamodb:global-table-pause-replication"
TARGET = "aws:dynamodb:global-table"
TABLE_ACTIONS = (
    "dynamodb:DeleteResourcePolicy",
    "dynamodb:DescribeTable",
    "dynamodb:GetResourcePolicy",
    "dynamodb:PutResourcePolicy",
)
"""What the experiment does to the replica; it finds it by its ARN, not by tags."""
LOG_ACTIONS = (
    "logs:CreateLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:PutResourcePolicy",
)
"""What FIS does with the role to deliver its log; these actions take no resource.

Source: https://docs.aws.amazon.com/fis/latest/userguide/monitoring-logging.html
"""
MAX_STOP_CONDITIONS = 5
"""Source: https://docs.aws.amazon.com/fis/latest/userguide/fis-quotas.html"""


class ReplicationPause(Construct):
    """Experiment template, role and log group of one Region."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        provider: TerraformProvider,
        region: str,
        name: str,
        table_arn: str,
        alarm_arns: Sequence[str],
        minutes: int,
        retention_days: int,
        kms_key_arn: str | None = None,
    ) -> None:
        """Create them.

        Args:
            scope: The construct that owns them.
            id: Unique within `scope`; it is part of every resource address.
            provider: Provider of the Region.
            region: The Region.
            name: Prefix of the names; with the Region, the role's stays within 64 characters.
            table_arn: The replica in the Region.
            alarm_arns: Alarms of the Region that stop an experiment, and prevent its start.
            minutes: How long an experiment lasts.
            retention_days: Days that its log is kept.
            kms_key_arn: Key of the Region that encrypts the log; None for CloudWatch's own.

        Raises:
            ValueError: No alarm could stop an experiment, or there are too many.
        """
        super().__init__(scope, id)
        if not 1 <= len(alarm_arns) <= MAX_STOP_CONDITIONS:
            raise ValueError(
                f"{len(alarm_arns)} alarms cannot stop an experiment: give 1 to "
                f"{MAX_STOP_CONDITIONS}"
            )
        self.log_group = CloudwatchLogGroup(
            self,
            "log",
            provider=provider,
            # The prefix keeps CloudWatch's resource policies from growing with each log group.
            name=f"/aws/vendedlogs/fis/{name}",
            retention_in_days=retention_days,
            kms_key_id=kms_key_arn,
        )
        account_id = Fn.element(Fn.split(":", self.log_group.arn), 4)
        self.role = IamRole(
            self,
            "role",
            provider=provider,
            name=f"{name}-drills-{region}",
            description=f"Experiments of drills in {region}",
            assume_role_policy=self._trust(provider, region, account_id),
        )
        document = DataAwsIamPolicyDocument(
            self,
            "document",
            provider=provider,
            statement=[
                DataAwsIamPolicyDocumentStatement(
                    sid="PauseReplication", actions=list(TABLE_ACTIONS), resources=[table_arn]
                ),
                DataAwsIamPolicyDocumentStatement(
                    sid="DeliverLog", actions=list(LOG_ACTIONS), resources=["*"]
                ),
            ],
        )
        policy = IamRolePolicy(
            self,
            "policy",
            provider=provider,
            name="pause-replication",
            role=self.role.id,
            policy=document.json,
        )
        self.template = FisExperimentTemplate(
            self,
            "template",
            provider=provider,
            description=f"Pause the replication of {name} from and to {region}",
            role_arn=self.role.arn,
            action=[
                FisExperimentTemplateAction(
                    name="pause-replication",
                    action_id=ACTION,
                    parameter=[
                        FisExperimentTemplateActionParameter(key="duration", value=f"PT{minutes}M")
                    ],
                    target=FisExperimentTemplateActionTarget(key="Tables", value="replica"),
                )
            ],
            target=[
                FisExperimentTemplateTarget(
                    name="replica",
                    resource_type=TARGET,
                    resource_arns=[table_arn],
                    selection_mode="ALL",
                )
            ],
            stop_condition=[
                FisExperimentTemplateStopCondition(source="aws:cloudwatch:alarm", value=arn)
                for arn in alarm_arns
            ],
            log_configuration=FisExperimentTemplateLogConfiguration(
                log_schema_version=2,
                cloudwatch_logs_configuration=(
                    FisExperimentTemplateLogConfigurationCloudwatchLogsConfiguration(
                        log_group_arn=f"{self.log_group.arn}:*"
                    )
                ),
            ),
            experiment_options=FisExperimentTemplateExperimentOptions(
                account_targeting="single-account",
                # A table that is not there is an error, not an experiment that does nothing.
                empty_target_resolution_mode="fail",
            ),
            tags={"Name": f"{name}-replication-paused"},
            depends_on=[policy],
        )

    def _trust(self, provider: TerraformProvider, region: str, account_id: str) -> str:
        """JSON of the trust policy: FIS may assume the role for experiments of the account here.

        Source: https://docs.aws.amazon.com/fis/latest/userguide/getting-started-iam-service-role.html
        """
        return DataAwsIamPolicyDocument(
            self,
            "trust",
            provider=provider,
            statement=[
                DataAwsIamPolicyDocumentStatement(
                    actions=["sts:AssumeRole"],
                    principals=[
                        DataAwsIamPolicyDocumentStatementPrincipals(
                            type="Service", identifiers=["fis.amazonaws.com"]
                        )
                    ],
                    condition=[
                        DataAwsIamPolicyDocumentStatementCondition(
                            test="StringEquals", variable="aws:SourceAccount", values=[account_id]
                        ),
                        DataAwsIamPolicyDocumentStatementCondition(
                            test="ArnLike",
                            variable="aws:SourceArn",
                            values=[f"arn:aws:fis:{region}:{account_id}:experiment/*"],
                        ),
                    ],
                )
            ],
        ).json
