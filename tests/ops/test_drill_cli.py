"""`python -m ops drill`: what it refuses, and that a real environment is safe from a slip."""

import argparse
from types import SimpleNamespace

import pytest

from ops.cli import drill as cli
from ops.drill.expectation import expect
from ops.drill.injection import Injection
from ops.errors import ExitCode, OpsError

pytestmark = pytest.mark.unit


@pytest.fixture
def parse():
    parser = argparse.ArgumentParser()
    cli.add_to(parser.add_subparsers())
    return lambda *arguments: parser.parse_args(["drill", *arguments])


@pytest.fixture
def on_aws(monkeypatch, tmp_path):
    """An environment on AWS that no test may touch."""
    environment = SimpleNamespace(name="production", is_local=False, speed=1.0)
    expectation = expect(interval_seconds=30, failure_threshold=3, ttl_seconds=60, probe_seconds=6)
    monkeypatch.setattr(cli, "environment_from", lambda _: environment)
    monkeypatch.setattr(cli, "plan", lambda *_: Injection("switch", "us-east-1", {"reason": "x"}))
    monkeypatch.setattr(cli, "expectation_of", lambda *_: expectation)
    monkeypatch.setattr(cli, "verify", lambda _: pytest.fail("it was touched"))
    monkeypatch.setattr(cli, "Drill", lambda *_, **__: pytest.fail("it was touched"))
    return ["--environment", "production", "--folder", str(tmp_path), "--fault", "switch"]


def test_without_execute_nothing_is_done_and_all_is_told(parse, on_aws, capsys):
    options = parse(*on_aws)

    assert options.run(options) == ExitCode.PASSED
    told = capsys.readouterr().out
    assert "Will engage the failover switch" in told
    assert "at most 156 s = 30 s interval x 3 checks + 60 s time to live + 6 s" in told
    assert "Dry run: nothing was done" in told
    assert "--execute" in told


def test_without_somebody_to_confirm_nothing_is_done(parse, on_aws):
    options = parse(*on_aws, "--execute")

    with pytest.raises(OpsError, match="not confirmed") as caught:
        options.run(options)
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("typed", "goes_on"), [("production", True), ("staging", False), ("", False), ("yes", False)]
)
def test_the_environments_name_is_to_be_typed(parse, on_aws, monkeypatch, typed, goes_on):
    options = parse(*on_aws, "--execute")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda _: typed)
    verified = []
    refused = SimpleNamespace(passed=False, with_outcome=lambda _: ())
    monkeypatch.setattr(cli, "verify", lambda _: verified.append(1) or refused)

    if goes_on:
        assert options.run(options) == ExitCode.CHECK_FAILED
    else:
        with pytest.raises(OpsError, match="not confirmed"):
            options.run(options)
    assert bool(verified) == goes_on


@pytest.mark.parametrize("arguments", [[], ["--fault", "switch", "--restore"]])
def test_either_a_fault_or_the_restore(parse, arguments):
    options = parse(*arguments)

    with pytest.raises(OpsError) as caught:
        options.run(options)
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    "arguments",
    [
        ["--fault", "flood"],
        ["--fault", "grey", "--share", "0"],
        ["--fault", "grey", "--share", "1.1"],
        ["--fault", "grey", "--share", "nan"],
        ["--fault", "slow", "--delay-seconds", "301"],
        ["--fault", "table", "--error", "replication"],
        ["--fault", "error", "--status", "404"],
        ["--fault", "refuse", "--max-rto-seconds", "-1"],
        ["--fault", "refuse", "--max-lost-writes", "-1"],
    ],
)
def test_a_wrong_value_is_wrong_usage(parse, arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(*arguments)

    assert caught.value.code == ExitCode.USAGE
    assert arguments[-2] in capsys.readouterr().err
