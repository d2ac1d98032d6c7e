"""Who loses a Region, and who serves them then: for every policy and every set of lost Regions."""

from itertools import combinations

import pytest

from ops.drill.scenario import scenario_of

pytestmark = pytest.mark.unit

ONE, TWO, THREE, FOUR = REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "ap-southeast-1")


def losses(count):
    regions = REGIONS[:count]
    return [lost for n in range(1, count + 1) for lost in combinations(regions, n)]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_with_failover_all_customers_move_if_the_first_is_lost_to_the_first_that_is_left(count):
    for lost in losses(count):
        scenario = scenario_of("failover", REGIONS[:count], lost)
        (everybody,) = scenario.customers
        left = [region for region in REGIONS[:count] if region not in lost]

        assert everybody.before == (ONE,)
        assert everybody.after == tuple(left[:1])
        assert bool(scenario.moving) == (ONE in lost)
        assert scenario.taking_over == (tuple(left[:1]) if ONE in lost else ())
        assert scenario.coming_back == ((ONE,) if ONE in lost else ())


@pytest.mark.parametrize("count", [2, 3, 4])
def test_with_latency_those_next_to_a_lost_region_move_and_no_others(count):
    for lost in losses(count):
        scenario = scenario_of("latency", REGIONS[:count], lost)
        left = tuple(region for region in REGIONS[:count] if region not in lost)

        assert [each.near for each in scenario.customers] == [*REGIONS[:count]]
        assert [each.near for each in scenario.moving] == [*lost]
        assert [each.near for each in scenario.others] == [*left]
        assert all(each.after == left for each in scenario.moving)
        assert all(each.after == each.before == (each.near,) for each in scenario.others)


@pytest.mark.parametrize(
    ("weights", "lost", "before", "after"),
    [
        (None, [ONE], (ONE, TWO, THREE), (TWO, THREE)),
        ({ONE: 2, TWO: 1, THREE: 0}, [ONE], (ONE, TWO), (TWO,)),
        # Those of weight 0 serve when nobody else does, and move nobody when they are lost.
        ({ONE: 2, TWO: 1, THREE: 0}, [ONE, TWO], (ONE, TWO), (THREE,)),
        ({ONE: 2, TWO: 1, THREE: 0}, [THREE], (ONE, TWO), (ONE, TWO)),
        ({ONE: 2, TWO: 1, THREE: 0}, [ONE, TWO, THREE], (ONE, TWO), ()),
    ],
)
def test_with_weights_all_customers_share_the_regions_that_carry_some(weights, lost, before, after):
    scenario = scenario_of("weighted", REGIONS[:3], lost, weights)
    (everybody,) = scenario.customers

    assert (everybody.before, everybody.after, everybody.varies) == (before, after, True)
    assert bool(scenario.moving) == (before != after)


@pytest.mark.parametrize("policy", ["failover", "latency", "weighted"])
def test_if_all_are_lost_nobody_is_left_and_nobody_is_spared(policy):
    scenario = scenario_of(policy, REGIONS, REGIONS[::-1])

    assert scenario.lost == REGIONS
    assert (scenario.left, scenario.others, scenario.taking_over) == ((), (), ())
    assert all(each.after == () for each in scenario.customers)
