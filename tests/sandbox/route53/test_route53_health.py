"""Rules of health: thresholds, votes, calculated, inverted and disabled checks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.route53.health import (
    CheckerState,
    Evaluation,
    Observation,
    alarm_is_healthy,
    votes_are_healthy,
)
from sandbox.route53.model import HealthCheck

pytestmark = pytest.mark.unit

GOOD, BAD = Observation(True, "fine"), Observation(False, "broken")


def _beliefs(results: str, threshold: int) -> str:
    state, states = CheckerState(), ""
    for result in results:
        state = state.after(GOOD if result == "+" else BAD, threshold)
        states += "+" if state.healthy else "-"
    return states


@pytest.mark.parametrize(
    ("results", "threshold", "beliefs"),
    [
        ("-", 1, "-"),
        ("--", 3, "++"),
        ("---", 3, "++-"),
        ("--+--", 3, "+++++"),
        ("---++", 3, "++---"),
        ("---+++", 3, "++---+"),
        ("---++-+++", 3, "++------+"),
        ("-+-+", 1, "-+-+"),
    ],
)
def test_a_checker_changes_its_mind_after_threshold_equal_results_in_a_row(
    results: str, threshold: int, beliefs: str
) -> None:
    assert _beliefs(results, threshold) == beliefs


@given(st.text("+-", max_size=60), st.integers(1, 10))
def test_a_belief_is_always_backed_by_a_full_run_of_results(results: str, threshold: int) -> None:
    beliefs = _beliefs(results, threshold)
    for position, belief in enumerate(beliefs):
        seen = results[: position + 1]
        previous = beliefs[position - 1] if position else "+"
        if belief != previous:
            assert seen.endswith(belief * threshold)
        else:
            other = "-" if belief == "+" else "+"
            assert not seen.endswith(other * threshold)


@pytest.mark.parametrize(
    ("healthy", "total", "expected"),
    [
        (0, 3, False),
        (1, 3, True),
        (1, 5, True),
        (1, 8, False),
        (2, 8, True),
        (18, 100, False),
        (19, 100, True),
        (9, 50, False),
        (0, 0, True),
    ],
)
def test_more_than_18_percent_of_checkers_make_an_endpoint_healthy(
    healthy: int, total: int, expected: bool
) -> None:
    assert votes_are_healthy([True] * healthy + [False] * (total - healthy)) is expected


def _status(checks: list[HealthCheck], **votes: tuple[bool, ...]) -> dict[str, bool]:
    evaluation = Evaluation({check.id: check for check in checks}, votes, {})
    return {check_id: status.healthy for check_id, status in evaluation.all().items()}


def test_a_new_check_without_observations_is_healthy() -> None:
    assert _status([HealthCheck("a", "HTTP")]) == {"a": True}


@pytest.mark.parametrize(
    ("disabled", "inverted", "vote", "expected"),
    [
        (False, False, True, True),
        (False, False, False, False),
        (False, True, True, False),
        (False, True, False, True),
        (True, False, False, True),
        (True, True, False, False),
        (True, True, True, False),
    ],
)
def test_disabled_is_healthy_and_inverted_reverses_what_came_out(
    disabled: bool, inverted: bool, vote: bool, expected: bool
) -> None:
    check = HealthCheck("a", "HTTP", disabled=disabled, inverted=inverted)
    assert _status([check], a=(vote,)) == {"a": expected}


@pytest.mark.parametrize(
    ("threshold", "healthy_children", "expected"),
    [
        (0, 0, True),
        (1, 0, False),
        (1, 1, True),
        (2, 1, False),
        (3, 3, True),
        (4, 3, False),
        (None, 2, False),
        (None, 3, True),
    ],
)
def test_a_calculated_check_needs_as_many_healthy_children_as_its_threshold(
    threshold: int | None, healthy_children: int, expected: bool
) -> None:
    children = [HealthCheck(name, "TCP") for name in "abc"]
    parent = HealthCheck("p", "CALCULATED", health_threshold=threshold, children=tuple("abc"))
    votes = {name: (index < healthy_children,) for index, name in enumerate("abc")}
    assert _status([parent, *children], **votes)["p"] is expected


def test_a_calculated_check_may_be_inverted_and_nested() -> None:
    # GIVEN an unhealthy endpoint, its inverted parent, and a grandparent of both
    checks = [
        HealthCheck("top", "CALCULATED", health_threshold=2, children=("parent", "leaf2")),
        HealthCheck("parent", "CALCULATED", health_threshold=1, children=("leaf",), inverted=True),
        HealthCheck("leaf", "TCP"),
        HealthCheck("leaf2", "TCP"),
    ]
    # THEN the parent is healthy because its only child is not
    found = _status(checks, leaf=(False,), leaf2=(True,))
    assert found == {"top": True, "parent": True, "leaf": False, "leaf2": True}


def test_an_inverted_child_counts_as_inverted() -> None:
    checks = [
        HealthCheck("p", "CALCULATED", health_threshold=1, children=("c",)),
        HealthCheck("c", "TCP", inverted=True),
    ]
    assert _status(checks, c=(True,)) == {"p": False, "c": False}


def test_a_missing_child_is_not_a_healthy_one() -> None:
    parent = HealthCheck("p", "CALCULATED", health_threshold=1, children=("gone",))
    status = Evaluation({"p": parent}, {}, {}).status("p")
    assert not status.healthy
    assert status.reason == "0 of 1 children healthy, 1 needed, 1 unknown"


def test_a_calculated_check_that_contains_itself_ends() -> None:
    checks = [
        HealthCheck("a", "CALCULATED", health_threshold=1, children=("b",)),
        HealthCheck("b", "CALCULATED", health_threshold=1, children=("a",)),
    ]
    assert _status(checks) == {"a": False, "b": False}


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(0, 9), st.booleans())
def test_inverting_a_calculated_check_always_reverses_it(
    children: list[bool], threshold: int, disabled: bool
) -> None:
    names = [f"c{index}" for index in range(len(children))]
    votes = {name: (healthy,) for name, healthy in zip(names, children, strict=True)}
    found = [
        _status(
            [
                HealthCheck(
                    "p",
                    "CALCULATED",
                    health_threshold=threshold,
                    children=tuple(names),
                    inverted=inverted,
                    disabled=disabled,
                ),
                *(HealthCheck(name, "TCP") for name in names),
            ],
            **votes,
        )["p"]
        for inverted in (False, True)
    ]
    assert found[0] is not found[1]


@pytest.mark.parametrize(
    ("state", "setting", "last_known", "expected"),
    [
        ("OK", "Unhealthy", False, True),
        ("ALARM", "Healthy", True, False),
        ("INSUFFICIENT_DATA", "Healthy", False, True),
        ("INSUFFICIENT_DATA", "Unhealthy", True, False),
        ("INSUFFICIENT_DATA", "LastKnownStatus", None, True),
        ("INSUFFICIENT_DATA", "LastKnownStatus", False, False),
        ("INSUFFICIENT_DATA", "LastKnownStatus", True, True),
    ],
)
def test_an_alarm_without_data_follows_the_setting(
    state: str, setting: str, last_known: bool | None, expected: bool
) -> None:
    assert alarm_is_healthy(state, setting, last_known) is expected


def test_an_unsupported_type_is_reported() -> None:
    check = HealthCheck("a", "RECOVERY_CONTROL")
    status = Evaluation({"a": check}, {}, {}).status("a")
    assert status.healthy
    assert "not supported" in status.reason
