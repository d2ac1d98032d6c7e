"""The key that signs the records of drills."""

import pytest
from synthesis import Synthesized, new_stack, providers

from constructs_lib.kms.signing_key import SigningKey

pytestmark = pytest.mark.unit


def test_a_key_signs_in_one_region_and_its_address_is_its_id():
    stack = new_stack()
    (provider,) = providers(stack, "eu-west-1").values()
    key = SigningKey(stack, "records_key", description="Records", provider=provider)

    (made,) = Synthesized(stack).resources("aws_kms_key").items()
    id, values = made
    assert id == "records_key"
    assert values["provider"] == "aws.eu-west-1"
    assert (values["customer_master_key_spec"], values["key_usage"]) == ("RSA_3072", "SIGN_VERIFY")
    assert values["deletion_window_in_days"] == 30
    assert key.arn
