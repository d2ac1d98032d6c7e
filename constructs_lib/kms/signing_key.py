"""An asymmetric KMS key that signs, of which anybody may have the public half.

It creates the key in one Region, without an alias. Its policy is KMS's own: IAM decides in this
account who may sign. KMS does not rotate asymmetric keys.

Source: https://docs.aws.amazon.com/kms/latest/developerguide/symmetric-asymmetric.html
"""

from collections.abc import Mapping

from cdktf import TerraformProvider
from cdktf_cdktf_provider_aws.kms_key import KmsKey
from constructs import Construct

from constructs_lib.kms.multi_region_key import DELETION_WINDOW_DAYS

KEY_SPEC = "RSA_3072"
"""Its signatures can be checked with whole numbers alone, without a library of cryptography."""


class SigningKey(Construct):
    """A key pair whose private half never leaves KMS."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        description: str,
        provider: TerraformProvider,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the key.

        Args:
            scope: The construct that owns the key.
            id: Unique within `scope`; it is part of the resource's address.
            description: What it signs.
            provider: Provider of the Region.
            tags: Tags of the key.
        """
        super().__init__(scope, id)
        self.key = KmsKey(
            self,
            "key",
            provider=provider,
            description=description,
            customer_master_key_spec=KEY_SPEC,
            key_usage="SIGN_VERIFY",
            deletion_window_in_days=DELETION_WINDOW_DAYS,
            tags=dict(tags or {}),
        )
        self.key.override_logical_id(id)

    @property
    def arn(self) -> str:
        """ARN of the key; a token, known at deployment."""
        return str(self.key.arn)
