"""A program with fifty resource types that the product does not use. It is run by a test.

Nested blocks, lists, maps, tokens of every kind, data sources, overrides, an aspect written in
Python, an import within a function, and two assemblies whose code is spread over many files.
"""

import importlib

import cdktf_cdktf_provider_aws as aws
import jsii
from cdktf import (
    App,
    Aspects,
    Fn,
    IAspect,
    LocalBackend,
    TerraformIterator,
    TerraformOutput,
    TerraformResource,
    TerraformStack,
)
from cdktf_cdktf_provider_aws.data_aws_availability_zones import DataAwsAvailabilityZones
from cdktf_cdktf_provider_aws.lexv2_models_intent import Lexv2ModelsIntent
from cdktf_cdktf_provider_aws.lexv2_models_slot import Lexv2ModelsSlot
from cdktf_cdktf_provider_aws.provider import AwsProvider, AwsProviderDefaultTags
from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from cdktf_cdktf_provider_aws.s3_bucket_lifecycle_configuration import (
    S3BucketLifecycleConfiguration,
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleExpiration,
    S3BucketLifecycleConfigurationRuleFilter,
)
from cdktf_cdktf_provider_aws.security_group import SecurityGroup, SecurityGroupIngress
from cdktf_cdktf_provider_aws.vpc import Vpc
from cdktf_cdktf_provider_aws.wafv2_web_acl import (
    Wafv2WebAcl,
    Wafv2WebAclDefaultAction,
    Wafv2WebAclDefaultActionAllow,
    Wafv2WebAclVisibilityConfig,
)

SIMPLE = {
    "athena_database": ("AthenaDatabase", {"name": "db", "bucket": "b"}),
    "backup_vault": ("BackupVault", {"name": "v"}),
    "batch_job_queue": ("BatchJobQueue", {"name": "q", "priority": 1, "state": "ENABLED"}),
    "cloudfront_origin_access_identity": ("CloudfrontOriginAccessIdentity", {"comment": "c"}),
    "cloudwatch_log_metric_filter": ("CloudwatchLogMetricFilter", {
        "name": "f", "pattern": "", "log_group_name": "g",
        "metric_transformation": {"name": "m", "namespace": "n", "value": "1"}}),
    "cloudwatch_event_bus": ("CloudwatchEventBus", {"name": "b"}),
    "cloudwatch_event_rule": ("CloudwatchEventRule", {"schedule_expression": "rate(1 day)"}),
    "codecommit_repository": ("CodecommitRepository", {"repository_name": "r"}),
    "cognito_user_pool": ("CognitoUserPool", {"name": "p", "auto_verified_attributes": ["email"]}),
    "db_subnet_group": ("DbSubnetGroup", {"subnet_ids": ["a", "b"]}),
    "ebs_volume": ("EbsVolume", {"availability_zone": "us-east-1a", "size": 8, "encrypted": True}),
    "ecr_repository": ("EcrRepository", {"name": "r", "image_tag_mutability": "IMMUTABLE"}),
    "ecs_cluster": ("EcsCluster", {"name": "c", "tags": {"a": "b"}}),
    "ecs_task_definition": ("EcsTaskDefinition", {"family": "f", "container_definitions": "[]"}),
    "efs_file_system": ("EfsFileSystem", {"throughput_mode": "bursting"}),
    "eip": ("Eip", {"domain": "vpc"}),
    "eks_cluster": ("EksCluster", {
        "name": "c", "role_arn": "r", "vpc_config": {"subnet_ids": ["a"]}}),
    "elasticache_subnet_group": ("ElasticacheSubnetGroup", {"name": "g", "subnet_ids": ["a"]}),
    "glue_catalog_database": ("GlueCatalogDatabase", {"name": "d"}),
    "iam_group": ("IamGroup", {"name": "g"}),
    "iam_instance_profile": ("IamInstanceProfile", {"name": "p"}),
    "iam_user": ("IamUser", {"name": "u", "force_destroy": True}),
    "instance": ("Instance", {"ami": "ami-1", "instance_type": "t3.micro",
                              "root_block_device": {"volume_size": 8, "encrypted": True}}),
    "internet_gateway": ("InternetGateway", {}),
    "kinesis_stream": ("KinesisStream", {"name": "s", "shard_count": 1}),
    "kms_alias": ("KmsAlias", {"name": "alias/a", "target_key_id": "k"}),
    "kms_key": ("KmsKey", {"enable_key_rotation": True, "multi_region": True}),
    "lb": ("Lb", {"name": "l", "internal": False, "subnets": ["a", "b"]}),
    "lb_target_group": ("LbTargetGroup", {"port": 80, "protocol": "HTTP", "vpc_id": "v",
                                          "health_check": {"path": "/", "interval": 30}}),
    "lambda_layer_version": ("LambdaLayerVersion", {"layer_name": "l", "filename": "f.zip"}),
    "medialive_channel": ("MedialiveChannel", {
        "name": "m", "channel_class": "STANDARD", "role_arn": "r",
        "destinations": [{"id": "d", "settings": [{"url": "s3://a"}]}],
        "encoder_settings": {"output_groups": [], "timecode_config": {"source": "EMBEDDED"},
                             "video_descriptions": [{"name": "v"}]},
        "input_attachments": [], "input_specification": {
            "codec": "AVC", "input_resolution": "HD", "maximum_bitrate": "MAX_20_MBPS"},
    }),
    "nat_gateway": ("NatGateway", {"subnet_id": "s"}),
    "rds_cluster": ("RdsCluster", {"engine": "aurora-postgresql", "backup_retention_period": 7}),
    "route_table": ("RouteTable", {"vpc_id": "v"}),
    "s3_bucket_versioning": ("S3BucketVersioningA", {
        "bucket": "b", "versioning_configuration": {"status": "Enabled"}}),
    "secretsmanager_secret": ("SecretsmanagerSecret", {
        "name": "s", "replica": [{"region": "us-west-2"}]}),
    "sfn_state_machine": ("SfnStateMachine", {"name": "m", "definition": "{}", "role_arn": "r"}),
    "sns_topic": ("SnsTopic", {"name": "t"}),
    "sqs_queue": ("SqsQueue", {"name": "q", "visibility_timeout_seconds": 30}),
    "ssm_parameter": ("SsmParameter", {"name": "p", "type": "String", "value": "v"}),
    "subnet": ("Subnet", {"vpc_id": "v", "cidr_block": "10.0.0.0/24"}),
    "vpc_endpoint": ("VpcEndpoint", {"vpc_id": "v", "service_name": "s"}),
    "xray_group": ("XrayGroup", {"group_name": "g", "filter_expression": "fault"}),
}  # fmt: skip


@jsii.implements(IAspect)
class Names:
    """Seen by the kernel as an object that calls back into Python."""

    def __init__(self):
        self.seen = []

    def visit(self, node):
        if isinstance(node, TerraformResource):
            self.seen.append(node.terraform_resource_type)
            node.add_override("provisioner", [{"local-exec": {"command": "true"}}])


app = App(outdir="out")
stack = TerraformStack(app, "other")
LocalBackend(stack, path="other.tfstate")
provider = AwsProvider(
    stack, "aws", region="us-east-1", default_tags=[AwsProviderDefaultTags(tags={"a": "b"})]
)
for module, (name, arguments) in SIMPLE.items():
    resource = getattr(importlib.import_module(f"cdktf_cdktf_provider_aws.{module}"), name)
    resource(stack, module, provider=provider, **arguments)

zones = DataAwsAvailabilityZones(stack, "zones", state="available")
vpc = Vpc(stack, "vpc", cidr_block="10.0.0.0/16")
vpc.add_override("tags.from", "an override")
subnet = aws.subnet.Subnet(
    stack,
    "counted",
    vpc_id=vpc.id,
    availability_zone=Fn.element(zones.names, 0),
    cidr_block=Fn.cidrsubnet(vpc.cidr_block, 8, 1),
)
SecurityGroup(
    stack,
    "group",
    vpc_id=vpc.id,
    ingress=[SecurityGroupIngress(from_port=443, to_port=443, protocol="tcp")],
)
bucket = S3Bucket(
    stack, "bucket", bucket_prefix="b", for_each=TerraformIterator.from_list(["a", "b"])
)
S3BucketLifecycleConfiguration(
    stack,
    "lifecycle",
    bucket=bucket.id,
    rule=[
        S3BucketLifecycleConfigurationRule(
            id="old",
            status="Enabled",
            filter=[S3BucketLifecycleConfigurationRuleFilter(prefix="old/")],
            expiration=[S3BucketLifecycleConfigurationRuleExpiration(days=30)],
        )
    ],
)
visible = Wafv2WebAclVisibilityConfig(
    cloudwatch_metrics_enabled=True, metric_name="m", sampled_requests_enabled=True
)
acl = Wafv2WebAcl(
    stack,
    "acl",
    name="acl",
    scope="REGIONAL",
    default_action=Wafv2WebAclDefaultAction(allow=Wafv2WebAclDefaultActionAllow()),
    visibility_config=visible,
    rule_json=Fn.jsonencode([{"name": vpc.id}]),
)
intent = Lexv2ModelsIntent(
    stack, "intent", bot_id="b", bot_version="DRAFT", locale_id="en_US", name="i",
    sample_utterance=[{"utterance": "hello"}],
)  # fmt: skip
Lexv2ModelsSlot(
    stack, "slot", bot_id="b", bot_version="DRAFT", locale_id="en_US", name="s",
    intent_id=intent.intent_id, slot_type_id="AMAZON.City",
)  # fmt: skip
print(acl.visibility_config.metric_name_input, acl.default_action.allow_input)
print(type(stack.node.find_child("bucket")).__name__, isinstance(subnet, aws.subnet.Subnet))
seen = Names()
Aspects.of(stack).add(seen)
TerraformOutput(stack, "zone", value=zones.names)


def late():
    from cdktf_cdktf_provider_aws.ec2_fleet import Ec2Fleet

    Ec2Fleet(
        stack,
        "fleet",
        launch_template_config=[{"launch_template_specification": {"version": "1"}}],
        target_capacity_specification={
            "default_target_capacity_type": "spot",
            "total_target_capacity": 1,
        },
    )


late()
app.synth()
print(sorted(seen.seen))
