"""The Regions that an environment may name, and how they differ."""

REGIONS = (
    "af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3",
    "ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3",
    "ap-southeast-4", "ap-southeast-5", "ap-southeast-7", "ca-central-1",
    "ca-west-1", "eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2",
    "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1", "me-central-1", "me-south-1",
    "mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
)  # fmt: skip
"""The Regions of the commercial partition that the tested provider knows; tests compare both.

Source: https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html
"""

TESTED_PROVIDER = "5.100.0"
REGIONS_NEWER_THAN_THE_PROVIDER = ("ap-southeast-6",)
"""Regions that the tested provider refuses in the plan: "invalid AWS Region"."""

SMALLER_QUOTA_REGIONS = frozenset({
    "af-south-1", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
    "ap-southeast-7", "ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2", "il-central-1",
    "me-central-1", "mx-central-1",
})  # fmt: skip
SMALLER_QUOTA = {"rate_per_second": 2500, "burst": 1250}
"""Default throttle quota of an account there, of all its APIs together; elsewhere 10000 and 5000.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
"""
