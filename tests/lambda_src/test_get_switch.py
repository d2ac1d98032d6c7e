"""Rules of the switch operation: what Route 53 receives, also when nothing is certain."""

import pytest

import get_switch
from weather import replica, repository
from weather.errors import Unavailable

pytestmark = pytest.mark.unit

ITEM = {"pk": "control", "sk": "switch", "reason": "drill"}


def test_without_the_item_it_is_404(table, call) -> None:
    assert call(get_switch).status == 404


def test_while_the_item_stands_it_is_200_and_not_cached(table, call) -> None:
    # GIVEN an engaged switch
    table.put_item(Item=ITEM)
    # WHEN it is asked for
    answer = call(get_switch)
    # THEN it says so, and where
    assert answer.status == 200
    assert answer.document == {"status": "engaged", "region": "eu-central-1"}
    assert answer.headers["Cache-Control"] == "no-store"
    # AND no longer once it is released
    table.delete_item(Key={"pk": "control", "sk": "switch"})
    assert call(get_switch).status == 404


def test_a_replica_out_of_reach_is_not_an_engaged_switch(call, monkeypatch) -> None:
    class Broken:
        def get_item(self, **_arguments):
            raise Unavailable("x")

    monkeypatch.setattr(get_switch, "_client", Broken())

    assert call(get_switch).status == 503


def test_it_needs_the_action_it_declares_and_no_other(table) -> None:
    used = []

    class Recorder:
        def __getattr__(self, name):
            used.append(name)
            return getattr(repository.client, name)

    replica.switch_is_engaged(Recorder())

    assert used == ["get_item"]
    assert get_switch.ACTIONS == ("dynamodb:GetItem",)


def test_no_customers_request_can_reach_the_item() -> None:
    # The item's partition is neither the one of locations nor of any location's observations.
    from weather.model import LOCATIONS_PARTITION, SWITCH_KEY, observations_partition

    assert SWITCH_KEY.pk != LOCATIONS_PARTITION
    assert not SWITCH_KEY.pk.startswith(observations_partition(""))
