import pytest
from synthesis import Synthesized, new_stack, providers

from constructs_lib import MultiRegionKey

pytestmark = pytest.mark.unit

REGIONS = ("eu-central-1", "eu-west-1", "ap-southeast-2")


@pytest.fixture(scope="module")
def synthesized():
    stack = new_stack()
    MultiRegionKey(stack, "key", name="shop", providers=providers(stack, *REGIONS))
    return Synthesized(stack)


def test_one_key_has_a_replica_in_every_further_region(synthesized):
    key = synthesized.only("aws_kms_key")
    replicas = synthesized.resources("aws_kms_replica_key")

    assert (key["multi_region"], key["enable_key_rotation"]) == (True, True)
    assert {id: replica["provider"] for id, replica in replicas.items()} == {
        "key_eu-west-1": "aws.eu-west-1", "key_ap-southeast-2": "aws.ap-southeast-2",
    }  # fmt: skip
    assert {r["primary_key_arn"] for r in replicas.values()} == {"${aws_kms_key.key_key.arn}"}


def test_every_region_has_the_alias(synthesized):
    aliases = synthesized.resources("aws_kms_alias").values()

    assert {(a["name"], a["provider"]) for a in aliases} == {
        ("alias/shop", f"aws.{region}") for region in REGIONS
    }


def test_only_logs_and_alarms_of_this_account_use_it_besides_iam(synthesized):
    for region in REGIONS:
        (document,) = [
            d
            for id, d in synthesized.data("aws_iam_policy_document").items()
            if f"policy_{region}" in id
        ]
        by_sid = {statement["sid"]: statement for statement in document["statement"]}
        assert set(by_sid) == {
            "AccountDecidesByIam", "LogGroupsOfThisAccount", "AlarmsOfThisAccount",
        }  # fmt: skip
        (principal,) = by_sid["LogGroupsOfThisAccount"]["principals"]
        assert principal["identifiers"] == [f"logs.{region}.amazonaws.com"]
        (condition,) = by_sid["LogGroupsOfThisAccount"]["condition"]
        assert condition["variable"] == "kms:EncryptionContext:aws:logs:arn"
        assert condition["values"][0].startswith(f"arn:aws:logs:{region}:")


def test_without_regions_there_is_no_key():
    with pytest.raises(ValueError, match="providers is empty"):
        MultiRegionKey(new_stack(), "key", name="shop", providers={})


def test_a_known_account_is_not_asked_for():
    stack = new_stack()
    MultiRegionKey(
        stack, "key", name="shop", providers=providers(stack, *REGIONS), account_id="111122223333"
    )
    synthesized = Synthesized(stack)

    assert synthesized.data("aws_caller_identity") == {}
    (document, *_) = synthesized.data("aws_iam_policy_document").values()
    by_sid = {statement["sid"]: statement for statement in document["statement"]}
    (principal,) = by_sid["AccountDecidesByIam"]["principals"]
    assert principal["identifiers"] == ["arn:aws:iam::111122223333:root"]
