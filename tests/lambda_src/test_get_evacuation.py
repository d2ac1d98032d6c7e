"""Rules of the evacuation operation: what Route 53 receives, also when nothing is certain."""

from datetime import UTC, datetime, timedelta

import pytest

import get_evacuation
from weather import replica, repository
from weather.errors import Unavailable

pytestmark = pytest.mark.unit

REGION = "us-east-1"
ITEM = {"pk": "control", "sk": f"evacuation-{REGION}", "reason": "drill"}


def asked(call, region=REGION):
    return call(get_evacuation, path={"region": region})


def test_without_the_item_it_is_404(table, call) -> None:
    assert asked(call).status == 404


def test_while_the_item_exists_it_is_200_and_not_cached(table, call) -> None:
    # GIVEN an evacuated Region
    table.put_item(Item=ITEM)
    # WHEN it is asked for
    answer = asked(call)
    # THEN it says so, and where
    assert answer.status == 200
    assert answer.document == {
        "status": "evacuated",
        "evacuated_region": REGION,
        "region": "eu-central-1",
    }
    assert answer.headers["Cache-Control"] == "no-store"
    # AND no other Region is evacuated
    assert asked(call, "us-east-2").status == 404
    # AND no longer once it is restored
    table.delete_item(Key={"pk": ITEM["pk"], "sk": ITEM["sk"]})
    assert asked(call).status == 404


@pytest.mark.parametrize(
    ("seconds", "zone", "status"),
    [(60, "+00:00", 200), (-1, "+00:00", 404), (60, "Z", 200), (-1, "Z", 404)],
)
def test_an_item_that_has_expired_evacuates_nobody(table, call, seconds, zone, status) -> None:
    end = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")
    table.put_item(Item=ITEM | {"expires_at": end.replace("+00:00", zone)})

    assert asked(call).status == status


@pytest.mark.parametrize("end", ["", "tomorrow", "2020-01-01T00:00:00"])
def test_an_end_that_cannot_be_read_leaves_the_region_evacuated(table, call, end) -> None:
    table.put_item(Item=ITEM | {"expires_at": end})

    assert asked(call).status == 200


@pytest.mark.parametrize("region", ["x" * 2000, "US-EAST-1", "us-east-1\n", "é", "a/b"])
def test_what_can_be_no_region_is_not_evacuated(table, call, region) -> None:
    assert asked(call, region).status == 404


def test_a_replica_out_of_reach_evacuates_nobody(call, monkeypatch) -> None:
    class Broken:
        def get_item(self, **_arguments):
            raise Unavailable("x")

    monkeypatch.setattr(get_evacuation, "_client", Broken())

    assert asked(call).status == 503


def test_it_needs_the_action_it_declares_and_no_other(table) -> None:
    used = []

    class Recorder:
        def __getattr__(self, name):
            used.append(name)
            return getattr(repository.client, name)

    replica.is_evacuated(Recorder(), REGION)

    assert used == ["get_item"]
    assert get_evacuation.ACTIONS == ("dynamodb:GetItem",)


def test_no_customers_request_can_reach_the_item() -> None:
    # The item's partition is neither the one of locations nor of any location's observations.
    from weather.model import LOCATIONS_PARTITION, evacuation_key, observations_partition

    key = evacuation_key(REGION)
    assert key.pk != LOCATIONS_PARTITION
    assert not key.pk.startswith(observations_partition(""))
