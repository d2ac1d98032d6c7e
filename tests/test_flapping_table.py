"""The page about flapping is generated, current, and whole."""

from itertools import product

import pytest

from scripts import flapping as table

pytestmark = pytest.mark.unit


def test_the_page_is_current():
    assert table.main(["--check"]) == 0, f"run `{table.COMMAND}`"


def test_each_time_was_measured_with_each_setting():
    results = table.read()
    times = {result.down_seconds for result in results}

    assert {(r.down_seconds, r.failback) for r in results} == {*product(times, table.MODES)}
    assert min(times) < results[0].detection_seconds < max(times)
    assert results[0].detection_seconds in times


def test_manual_failback_moves_customers_no_more_often_and_nothing_is_lost():
    moves = {(r.down_seconds, r.failback): r.moves for r in table.read()}

    for down in {down for down, _ in moves}:
        assert moves[down, "manual"] <= max(moves[down, "automatic"], 1)
    assert not any(result.lost for result in table.read())
