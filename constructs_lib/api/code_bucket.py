"""The code of an API's functions in S3: a private bucket in the API's own Region.

With the zip in the calls that create functions, Terraform's provider uploads it once for each, one
after the other. From a bucket, Lambda copies it when a function is created or changed; a function
that is deployed no longer needs the bucket.
"""

import re
from collections.abc import Mapping

from cdktf import TerraformProvider
from cdktf_cdktf_provider_aws.data_aws_iam_policy_document import (
    DataAwsIamPolicyDocument,
    DataAwsIamPolicyDocumentStatement,
    DataAwsIamPolicyDocumentStatementCondition,
    DataAwsIamPolicyDocumentStatementPrincipals,
)
from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from cdktf_cdktf_provider_aws.s3_bucket_policy import S3BucketPolicy
from cdktf_cdktf_provider_aws.s3_bucket_public_access_block import S3BucketPublicAccessBlock
from cdktf_cdktf_provider_aws.s3_bucket_server_side_encryption_configuration import (
    S3BucketServerSideEncryptionConfigurationA,
    S3BucketServerSideEncryptionConfigurationRuleA,
    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA,
)
from cdktf_cdktf_provider_aws.s3_object import (
    S3Object,
    S3ObjectOverrideProvider,
    S3ObjectOverrideProviderDefaultTags,
)
from constructs import Construct

from constructs_lib.api.function_package import FunctionPackage

_SUFFIX = "-code-"
_MAX_PREFIX_LENGTH = 37
"""Characters of a bucket's name before the 26 that the provider appends."""


class CodeBucket(Construct):
    """A bucket with one zip: no public access, TLS only, encrypted.

    The provider completes the bucket's name, which is global, with a unique suffix.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        provider: TerraformProvider,
        name: str,
        package: FunctionPackage,
        kms_key_arn: str | None,
        tags: Mapping[str, str],
    ) -> None:
        """Create the bucket and upload the zip.

        Args:
            scope: The API that owns it.
            id: Unique within `scope`.
            provider: Provider of the Region.
            name: Beginning of the bucket's name.
            package: The zip.
            kms_key_arn: Key in the Region that encrypts the zip; None for a key that S3 owns.
            tags: Tags of the bucket.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
        """
        super().__init__(scope, id)
        self.package = package
        prefix = re.sub(r"[^a-z0-9-]", "-", name.lower())[: _MAX_PREFIX_LENGTH - len(_SUFFIX)]
        bucket = S3Bucket(
            self,
            "bucket",
            provider=provider,
            bucket_prefix=f"{prefix}{_SUFFIX}",
            # Everything in it can be uploaded again.
            force_destroy=True,
            tags=dict(tags),
        )
        protections = [
            S3BucketPublicAccessBlock(
                self,
                "public_access_block",
                provider=provider,
                bucket=bucket.id,
                block_public_acls=True,
                block_public_policy=True,
                ignore_public_acls=True,
                restrict_public_buckets=True,
            ),
            S3BucketPolicy(
                self,
                "policy",
                provider=provider,
                bucket=bucket.id,
                policy=self._policy(bucket, provider),
            ),
        ]
        if kms_key_arn:
            protections.append(
                S3BucketServerSideEncryptionConfigurationA(
                    self,
                    "encryption",
                    provider=provider,
                    bucket=bucket.id,
                    rule=[
                        S3BucketServerSideEncryptionConfigurationRuleA(
                            apply_server_side_encryption_by_default=S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
                                sse_algorithm="aws:kms", kms_master_key_id=kms_key_arn
                            ),
                            bucket_key_enabled=True,
                        )
                    ],
                )
            )
        self.object = S3Object(
            self,
            "zip",
            provider=provider,
            bucket=bucket.id,
            # Other code has another key, so what a key holds never changes.
            key=f"functions-{package.sha256}.zip",
            source=package.path,
            # An object takes 10 tags; the provider's defaults may be more.
            override_provider=S3ObjectOverrideProvider(
                default_tags=S3ObjectOverrideProviderDefaultTags(tags={})
            ),
            depends_on=protections,
        )

    def _policy(self, bucket: S3Bucket, provider: TerraformProvider) -> str:
        return DataAwsIamPolicyDocument(
            self,
            "tls_only",
            provider=provider,
            statement=[
                DataAwsIamPolicyDocumentStatement(
                    sid="DenyWithoutTls",
                    effect="Deny",
                    actions=["s3:*"],
                    resources=[bucket.arn, f"{bucket.arn}/*"],
                    principals=[
                        DataAwsIamPolicyDocumentStatementPrincipals(type="*", identifiers=["*"])
                    ],
                    condition=[
                        DataAwsIamPolicyDocumentStatementCondition(
                            test="Bool", variable="aws:SecureTransport", values=["false"]
                        )
                    ],
                )
            ],
        ).json
