"""The table of changes is generated, current, and has every setting of the environment file."""

from typing import Literal

import pytest
from changes import BACKEND, CHANGES, LAYOUT, REMOVED, edited, first_file, text_of
from pydantic import BaseModel

from constructs_lib.settings import SettingsError, load
from scripts import changes as table
from scripts.changes import OUTCOMES, PROGRAM, REFUSED_BY_SETTINGS, Result

pytestmark = pytest.mark.unit

ALL = (LAYOUT, *CHANGES, *BACKEND)


def test_the_page_is_current():
    assert table.main(["--check"]) == 0, f"run `{table.COMMAND}`"


def test_every_setting_has_a_change():
    settings = {change.setting for change in ALL} - {PROGRAM}

    assert settings == {*table.setting_keys()}
    assert len(settings) > 40


def test_the_results_are_those_of_the_suite():
    """Of a change that is new, or has other words: run the suite with FAILOVER_WRITE_DOCS=1."""
    results = {(r.setting, r.change): (r.outcome, r.steps, r.note) for r in table.read()}
    changes = {(c.setting, c.change): (c.outcome, c.steps, c.note) for c in ALL}

    assert [*results.items()] == [*changes.items()]


def test_nothing_is_lost_or_failed_over_unless_the_table_says_why():
    changes = {(change.setting, change.change): change for change in ALL}
    for result in table.read():
        change = changes[result.setting, result.change]
        assert result.elsewhere == 0
        assert result.lost == 0 or (change.loses and change.note), change.id
        assert bool(result.message) == result.outcome.startswith("refused"), change.id


def test_every_change_is_of_the_setting_that_it_names():
    for change in CHANGES:
        assert change.outcome in OUTCOMES
        if change.setting == PROGRAM:
            continue
        named = change.setting.replace(".*", "").partition("[")[0].split(".")
        touched = {tuple(part for part in key.split(".")) for key in change.after}
        assert any(
            path[0] == named[0] and (path[-1] == named[-1] or len(path) < 3) for path in touched
        ), change.id


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.id)
def test_the_settings_refuse_what_the_table_says_and_nothing_else(tmp_path, change):
    file = tmp_path / "local.toml"
    file.write_text(text_of(edited(edited(first_file(), change.before), change.after)))
    try:
        load(file)
    except SettingsError:
        assert change.outcome == REFUSED_BY_SETTINGS
    else:
        assert change.outcome != REFUSED_BY_SETTINGS


def test_a_key_of_a_new_table_is_found_wherever_it_is():
    class Inner(BaseModel):
        x: int

    class Outer(BaseModel):
        one: Inner
        several: tuple[Inner, ...]
        named: dict[str, Inner]
        maybe: Inner | None
        kind: Literal["a", "b"]

    assert [*table.setting_keys(Outer)] == [
        "one.x", "several", "several[].x", "named", "named.*.x", "maybe", "maybe.x", "kind",
    ]  # fmt: skip


def test_a_result_that_is_refused_shows_why_and_a_link():
    result = Result(
        setting="api.stage", change="changed", outcome="refused by the plan", message="a|b.",
        steps="x.md", note="Wait.",
    )  # fmt: skip

    page = table.page([result])

    outcome = "**refused by the plan**: a&#124;b. Wait. [Steps](x.md)."
    assert f"| `api.stage` | changed | {outcome} | nothing | - | - |" in page
    assert "## `[api]`" in page


def test_a_removed_key_is_gone():
    assert edited({"a": {"b": 1, "c": 2}}, {"a.b": REMOVED}) == {"a": {"c": 2}}
