"""Killed at any moment, a release is finished or undone: nothing stays half."""

from itertools import count

import pytest
from fake_release import NAMES, REGIONS, KilledError, World, contents, one_stack

from ops.deploy.record import History, Outcome

pytestmark = pytest.mark.model


def killed_runs(tmp_path, text):
    """Worlds whose deployment was killed before each of its steps."""
    for moment in count():
        world = World(tmp_path / str(moment))
        world.synthesizes("one")
        world.deploys()
        world.synthesizes(text)
        world.calls.clear()
        world.killed_at = moment
        try:
            world.deploys(with_customers=True)
        except KilledError:
            world.killed_at = None
            yield world
        else:
            assert moment > 20
            return


def test_killed_at_any_moment_resume_finishes_it(tmp_path):
    for world in killed_runs(tmp_path, "two"):
        deployer = world.deployer()
        if deployer.history.unfinished is None:
            assert world.deployed == contents("one")
            continue
        assert deployer.resume().outcome is Outcome.DEPLOYED
        assert world.deployed == world.serving == contents("two")
        assert not world.shared
        assert world.switched_by is None
        assert not (world.folder / "plans").exists()


def test_killed_at_any_moment_resume_leaves_no_api_with_a_method_that_was_removed(tmp_path):
    for world in killed_runs(tmp_path, "removes put"):
        deployer = world.deployer()
        if deployer.history.unfinished is not None:
            assert deployer.resume().outcome is Outcome.DEPLOYED
            assert all(world.snapshots[name] == world.deployed[name] for name in NAMES[1:])


def test_killed_at_any_moment_rollback_undoes_it(tmp_path):
    for world in killed_runs(tmp_path, "two"):
        deployer = world.deployer()
        if deployer.history.unfinished is None:
            continue
        assert deployer.rollback(bake_seconds=0).outcome is Outcome.DEPLOYED
        assert world.deployed == world.serving == contents("one")
        assert not world.shared
        assert world.switched_by is None
        assert History.read(world.history).unfinished is None


def test_killed_at_any_moment_a_bad_release_ends_with_the_one_before(tmp_path):
    for world in killed_runs(tmp_path, "faulty"):
        deployer = world.deployer()
        if deployer.history.unfinished is None:
            continue
        assert deployer.resume().outcome is Outcome.ROLLED_BACK
        assert world.deployed == world.serving == contents("one")
        assert not world.shared
        assert world.switched_by is None


def test_killed_at_any_moment_one_stack_is_finished_or_undone(tmp_path):
    for moment in count():
        finished, undone = (one_stack(tmp_path / f"{moment}{n}", "two") for n in "ab")
        for world in finished, undone:
            world.killed_at = moment
            try:
                world.deploys()
            except KilledError:
                world.killed_at = None
            else:
                assert moment > 15
                return
        if finished.deployer().history.unfinished is None:
            continue
        assert finished.deployer().resume().outcome is Outcome.DEPLOYED
        assert finished.serving == dict.fromkeys(REGIONS, "x two")
        if undone.deployer().history.unfinished.changed:
            assert undone.deployer().rollback(bake_seconds=0).outcome is Outcome.DEPLOYED
            assert undone.serving == dict.fromkeys(REGIONS, "x one")
        assert not finished.shared | undone.shared
