"""The secondary serves all customers for a while, and only as long as a deployment wants it."""

import pytest
from botocore.exceptions import ClientError
from fake_environment import EAST, WEST, environment

from ops.deploy.customers import MOVING_SECONDS, SwitchedCustomers
from ops.errors import OpsError, UsageError
from ops.http_client import Response

pytestmark = pytest.mark.unit


class Table:
    """The replica with the item that evacuates the primary."""

    def __init__(self, item=None):
        self.item = item

    def get_item(self, **_):
        return {"Item": self.item} if self.item else {}

    def put_item(self, *, Item, **_):  # noqa: N803
        if self.item:
            raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "PutItem")
        self.item = Item

    def delete_item(self, *, ExpressionAttributeValues, **_):  # noqa: N803
        if self.item and self.item["writer"] != ExpressionAttributeValues[":writer"]:
            raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "DeleteItem")
        found, self.item = self.item, None
        return {"Attributes": found} if found else {}


class Dns:
    """Follows evacuations after some requests."""

    def __init__(self, table, *, after=3):
        self.table, self.left, self.seen = table, after, EAST
        self.after = after

    def request(self, *_):
        wanted = WEST if self.table.item else EAST
        if wanted != self.seen:
            self.left -= 1
            if not self.left:
                self.seen, self.left = wanted, self.after
        return Response(200, region=self.seen)


def customers(table, dns=None):
    now = [0.0]
    dns = dns or Dns(table)

    def sleep(seconds):
        now[0] += seconds

    made = environment({("dynamodb", WEST): table}, network=dns)
    return SwitchedCustomers(made, lambda: now[0], sleep), dns, now


def test_only_a_stack_of_the_secondary_alone_can_serve_everybody():
    found, _, _ = customers(Table())

    assert found.may_move_to(f"production-{WEST}")
    for other in (f"production-{EAST}", "production", "production-data", "production-routing"):
        assert not found.may_move_to(other)


def test_without_a_switch_it_says_so():
    found = SwitchedCustomers(environment(outputs={"evacuation": None}))

    with pytest.raises(UsageError, match="has no failover switch"):
        found.may_move_to(f"production-{WEST}")
    found.back("deploy-1")


def test_without_a_primary_no_region_takes_over():
    found = SwitchedCustomers(environment(outputs={"routing_policy": "latency"}))

    with pytest.raises(UsageError, match="has no primary Region"):
        found.may_move_to(f"production-{WEST}")


def test_customers_move_and_come_back():
    table = Table()
    found, dns, _ = customers(table)

    found.move("deploy-1")
    assert (dns.seen, table.item["writer"]) == (WEST, {"S": "deploy-1"})

    found.back("deploy-2")
    assert table.item

    found.back("deploy-1")
    assert (dns.seen, table.item) == (EAST, None)


def test_an_evacuation_by_somebody_else_is_left_alone():
    table = Table({"writer": {"S": "switch-1"}, "reason": {"S": "outage"}})
    found, _, _ = customers(table)

    with pytest.raises(OpsError, match=f"{EAST} is evacuated, reason: outage"):
        found.move("deploy-1")
    found.back("deploy-1")

    assert table.item["writer"] == {"S": "switch-1"}


def test_a_region_that_does_not_take_over_is_an_error_in_time():
    table = Table()
    found, _, now = customers(table, Dns(table, after=10**6))

    with pytest.raises(OpsError, match=f"evacuated, and {EAST} .primary. serves"):
        found.move("deploy-1")

    assert now[0] == pytest.approx(MOVING_SECONDS, abs=3)
