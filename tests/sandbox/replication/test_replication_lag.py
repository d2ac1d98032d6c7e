"""How long replication takes."""

import itertools
import statistics

import pytest

from sandbox.replication.lag import LogNormalLag

pytestmark = pytest.mark.unit


def test_the_lag_has_its_median_and_its_99th_percentile():
    lag = LogNormalLag(0.5, seed=1)
    drawn = sorted(itertools.islice(iter(lag, None), 20_000))

    assert statistics.median(drawn) == pytest.approx(0.5, rel=0.03)
    assert drawn[int(len(drawn) * 0.99)] == pytest.approx(1.5, rel=0.05)
    assert drawn[0] > 0


def test_the_same_seed_gives_the_same_lags():
    first, second, other = (LogNormalLag(0.5, seed) for seed in (1, 1, 2))

    assert [first() for _ in range(5)] == [second() for _ in range(5)]
    assert first() != other()


def test_no_lag_is_none():
    lag = LogNormalLag(0, seed=1)

    assert {lag() for _ in range(10)} == {0}
