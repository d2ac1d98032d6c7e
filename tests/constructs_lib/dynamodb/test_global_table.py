import pytest
from cdktf_cdktf_provider_aws.iam_role import IamRole
from synthesis import Synthesized, new_stack, providers

from constructs_lib import GlobalSecondaryIndex, GlobalTable, Key
from constructs_lib.dynamodb.global_table import READ_ACTIONS

pytestmark = pytest.mark.unit

REGIONS = ("eu-central-1", "eu-west-1", "ap-southeast-2")


def table_in(stack, **arguments):
    return GlobalTable(
        stack,
        "orders",
        **{
            "name": "orders",
            "providers": arguments.get("providers") or providers(stack, *REGIONS),
            "partition_key": Key("number", "N"),
            "tags": {"team": "shop"},
        }
        | arguments,
    )


@pytest.fixture(scope="module")
def synthesized():
    stack = new_stack()
    table = table_in(
        stack,
        sort_key=Key("placed_at"),
        ttl_attribute="expires_at",
        indexes=[
            GlobalSecondaryIndex("by-shop", Key("shop"), Key("placed_at")),
            GlobalSecondaryIndex("by-blob", Key("blob", "B")),
        ],
    )
    role = IamRole(stack, "clerk", name="clerk", assume_role_policy="{}")
    table.grant(role, region="eu-west-1", actions=["dynamodb:Query", "dynamodb:GetItem"])
    table.grant_write(role, region="eu-central-1")
    return Synthesized(stack)


def test_table_and_every_replica_have_their_own_regions_provider(synthesized):
    assert synthesized.only("aws_dynamodb_table")["provider"] == "aws.eu-central-1"
    assert {
        logical_id: replica["provider"]
        for logical_id, replica in synthesized.resources("aws_dynamodb_table_replica").items()
    } == {
        "orders_eu-west-1": "aws.eu-west-1",
        "orders_ap-southeast-2": "aws.ap-southeast-2",
    }


def test_keys_of_table_and_indexes_are_declared_once_each(synthesized):
    table = synthesized.only("aws_dynamodb_table")

    assert (table["hash_key"], table["range_key"]) == ("number", "placed_at")
    assert sorted((a["name"], a["type"]) for a in table["attribute"]) == [
        ("blob", "B"),
        ("number", "N"),
        ("placed_at", "S"),
        ("shop", "S"),
    ]
    assert [
        (index["name"], index["hash_key"], index.get("range_key"), index["projection_type"])
        for index in table["global_secondary_index"]
    ] == [("by-shop", "shop", "placed_at", "ALL"), ("by-blob", "blob", None, "ALL")]


def test_table_pays_per_request_and_streams_as_replicas_need(synthesized):
    table = synthesized.only("aws_dynamodb_table")

    assert table["billing_mode"] == "PAY_PER_REQUEST"
    assert (table["stream_enabled"], table["stream_view_type"]) == (True, "NEW_AND_OLD_IMAGES")
    assert table["ttl"] == {"attribute_name": "expires_at", "enabled": True}
    assert table["lifecycle"]["ignore_changes"] == ["replica"]


@pytest.mark.parametrize("protected", [True, False])
def test_protection_is_explicit_on_the_table_and_on_every_replica(protected):
    stack = new_stack()
    table_in(stack, point_in_time_recovery=protected, deletion_protection=protected)
    synthesized = Synthesized(stack)

    table = synthesized.only("aws_dynamodb_table")
    assert table["point_in_time_recovery"] == {"enabled": protected}
    assert table["server_side_encryption"] == {"enabled": False}
    replicas = synthesized.resources("aws_dynamodb_table_replica").values()
    assert len(replicas) == 2
    assert {replica["point_in_time_recovery"] for replica in replicas} == {protected}
    for resource in (table, *replicas):
        assert resource["deletion_protection_enabled"] is protected
        assert resource["tags"] == {"team": "shop"}
        # Terraform's plan refuses what AWS would refuse in the middle of an apply.
        assert resource.get("lifecycle", {}).get("prevent_destroy", False) is protected


def test_protection_is_on_unless_asked_otherwise():
    stack = new_stack()
    table_in(stack)
    table = Synthesized(stack).only("aws_dynamodb_table")

    assert table["deletion_protection_enabled"] is True
    assert table["point_in_time_recovery"] == {"enabled": True}
    assert "ttl" not in table
    assert "global_secondary_index" not in table
    assert "range_key" not in table


def test_terraform_waits_for_a_replica_of_a_large_table(synthesized):
    for replica in synthesized.resources("aws_dynamodb_table_replica").values():
        assert replica["timeouts"] == {"create": "6h", "update": "6h", "delete": "6h"}


def test_replicas_are_added_one_after_another(synthesized):
    replicas = synthesized.resources("aws_dynamodb_table_replica")

    assert "depends_on" not in replicas["orders_eu-west-1"]
    assert replicas["orders_ap-southeast-2"]["depends_on"] == [
        "aws_dynamodb_table_replica.orders_eu-west-1"
    ]


def test_a_grant_gives_the_listed_actions_on_its_own_regions_arn_only(synthesized):
    documents = {
        d["provider"]: d["statement"][0]
        for d in synthesized.data("aws_iam_policy_document").values()
    }

    read = documents["aws.eu-west-1"]
    assert read["actions"] == ["dynamodb:GetItem", "dynamodb:Query"]
    replica_arn = "${aws_dynamodb_table_replica.orders_eu-west-1.arn}"
    assert read["resources"] == [replica_arn, f"{replica_arn}/index/*"]
    write = documents["aws.eu-central-1"]
    assert write["actions"] == [
        "dynamodb:BatchWriteItem",
        "dynamodb:DeleteItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
    ]
    assert write["resources"][0] == "${aws_dynamodb_table.orders.arn}"
    policies = synthesized.resources("aws_iam_role_policy").values()
    assert sorted(policy["name"] for policy in policies) == ["table-read", "table-write"]


def test_a_table_without_indexes_grants_no_index():
    stack = new_stack()
    role = IamRole(stack, "clerk", name="clerk", assume_role_policy="{}")
    table_in(stack).grant_read(role, region="eu-west-1")

    (document,) = Synthesized(stack).data("aws_iam_policy_document").values()
    assert document["statement"][0]["resources"] == [
        "${aws_dynamodb_table_replica.orders_eu-west-1.arn}"
    ]
    assert document["statement"][0]["actions"] == sorted(READ_ACTIONS)


def test_an_invalid_grant_is_rejected_with_what_is_allowed():
    stack = new_stack()
    role = IamRole(stack, "clerk", name="clerk", assume_role_policy="{}")
    table = table_in(stack)

    with pytest.raises(ValueError, match=r"'us-east-1' holds no replica.*eu-central-1"):
        table.grant_read(role, region="us-east-1")
    with pytest.raises(ValueError, match=r"cannot grant \['s3:GetObject'\] on a table"):
        table.grant(role, region="eu-west-1", actions=["dynamodb:PutItem", "s3:GetObject"])


def test_single_items_are_granted_by_their_partitions_beside_other_grants():
    stack = new_stack()
    role = IamRole(stack, "clerk", name="clerk", assume_role_policy="{}")
    table = table_in(stack)
    table.grant(role, region="eu-west-1", actions=["dynamodb:Query"])
    table.grant_get_item(role, region="eu-west-1", partitions=["control"], id="fence")

    found = Synthesized(stack)
    names = {policy["name"] for policy in found.resources("aws_iam_role_policy").values()}
    assert names == {"table-read", "table-fence"}
    conditions = {
        tuple(document["statement"][0]["actions"]): document["statement"][0].get("condition")
        for document in found.data("aws_iam_policy_document").values()
    }
    assert conditions["dynamodb:Query",] is None
    assert conditions["dynamodb:GetItem",][0]["values"] == ["control"]

    with pytest.raises(ValueError, match="holds no replica"):
        table.grant_get_item(role, region="us-east-1", partitions=["control"], id="fence")
    with pytest.raises(ValueError, match="partitions is empty"):
        table.grant_get_item(role, region="eu-west-1", partitions=[], id="fence")


def test_a_grant_of_nothing_makes_no_policy():
    stack = new_stack()
    role = IamRole(stack, "clerk", name="clerk", assume_role_policy="{}")
    table_in(stack).grant(role, region="eu-west-1", actions=())

    assert Synthesized(stack).resources("aws_iam_role_policy") == {}


def test_a_table_needs_a_region():
    with pytest.raises(ValueError, match="providers is empty"):
        table_in(new_stack(), providers={})


US = ("us-east-1", "us-west-2", "us-east-2")


def strong_table(stack, *regions, **arguments):
    return table_in(stack, providers=providers(stack, *regions), consistency="strong", **arguments)


def test_a_strongly_consistent_table_is_created_with_all_its_replicas():
    """The separate resource has no consistency: AWS takes all replicas in one call."""
    stack = new_stack()
    strong_table(stack, *US)
    synthesized = Synthesized(stack)

    table = synthesized.only("aws_dynamodb_table")
    assert synthesized.resources("aws_dynamodb_table_replica") == {}
    assert table["replica"] == [
        {
            "region_name": region,
            "consistency_mode": "STRONG",
            "deletion_protection_enabled": True,
            "point_in_time_recovery": True,
            "propagate_tags": True,
        }
        for region in US[1:]
    ]
    assert "global_table_witness" not in table
    # Replication needs no stream, and changes of replicas are the table's.
    assert table.keys().isdisjoint({"stream_enabled", "stream_view_type", "ttl"})
    assert table["lifecycle"] == {"prevent_destroy": True}


def test_a_witness_takes_the_place_of_a_third_replica():
    stack = new_stack()
    strong_table(stack, *US[:2], witness_region=US[2], deletion_protection=False)

    table = Synthesized(stack).only("aws_dynamodb_table")
    assert [replica["region_name"] for replica in table["replica"]] == ["us-west-2"]
    assert table["replica"][0]["deletion_protection_enabled"] is False
    assert table["global_table_witness"] == {"region_name": "us-east-2"}


def test_each_replica_of_a_strongly_consistent_table_has_its_regions_key():
    stack = new_stack()
    strong_table(stack, *US, kms_key_arns={region: f"arn:{region}" for region in US})

    table = Synthesized(stack).only("aws_dynamodb_table")
    assert table["server_side_encryption"] == {"enabled": True, "kms_key_arn": "arn:us-east-1"}
    assert [replica["kms_key_arn"] for replica in table["replica"]] == [
        "arn:us-west-2",
        "arn:us-east-2",
    ]


def test_a_grant_on_a_replica_that_is_a_block_names_the_arn_of_its_region():
    stack = new_stack()
    table = strong_table(stack, *US)
    role = IamRole(stack, "clerk", name="clerk", assume_role_policy="{}")
    table.grant_read(role, region="us-west-2")

    (document,) = Synthesized(stack).data("aws_iam_policy_document").values()
    assert document["statement"][0]["resources"] == [
        '${replace(aws_dynamodb_table.orders.arn, ":us-east-1:", ":us-west-2:")}'
    ]


@pytest.mark.parametrize(
    ("regions", "arguments", "message"),
    [
        (US[:2], {}, "witness_region is missing"),
        (US, {"witness_region": "us-west-1"}, "three Regions have replicas"),
        ((*US, "eu-west-1"), {}, "regions has 4 Regions"),
        (("us-east-1", "us-west-2", "eu-west-1"), {}, '"eu-west-1" is of the Region set EU'),
        (("us-east-1", "us-west-1", "us-west-2"), {}, '"us-west-1" has no strongly consistent'),
        (US, {"ttl_attribute": "expires_at"}, "deletes no item by itself"),
        (US, {"consistency": "eventual", "witness_region": "us-west-1"}, "'eventual'"),
    ],
)
def test_what_dynamodb_refuses_of_strong_consistency_is_refused(regions, arguments, message):
    stack = new_stack()
    with pytest.raises(ValueError, match=message):
        table_in(
            stack,
            **{"providers": providers(stack, *regions), "consistency": "strong"} | arguments,
        )
