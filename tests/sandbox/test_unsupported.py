"""What a sandbox cannot deploy is refused before anything starts."""

import pytest
from repository_files import REPOSITORY

from ops.errors import ExitCode, OpsError
from sandbox import lifecycle, programs
from sandbox.__main__ import main
from sandbox.unsupported import refuse_unsupported
from sandbox.workspace import Workspace

pytestmark = pytest.mark.unit

LOCAL = (REPOSITORY / "environments" / "local.toml").read_text()
NAME = 'name = "weather-observations"'
STRONG = LOCAL.replace(NAME, f'{NAME}\nconsistency = "strong"\nwitness_region = "us-east-2"')
RECOVERY = LOCAL.replace("create_zone = true", "create_zone = true\naccelerated_recovery = true")


@pytest.mark.parametrize(
    ("text", "setting", "instead"),
    [
        (STRONG, 'table.consistency = "strong"', 'consistency = "eventual"'),
        (RECOVERY, "domain.accelerated_recovery = true", "accelerated_recovery = false"),
    ],
    ids=["strong", "recovery"],
)
def test_up_refuses_it_and_starts_nothing(tmp_path, monkeypatch, capsys, text, setting, instead):
    def starts(*_, **__):
        raise AssertionError("something was started")

    (tmp_path / "local.toml").write_text(text)
    monkeypatch.setenv("FAILOVER_ENVIRONMENTS", str(tmp_path))
    for module, name in ((lifecycle, "start"), (lifecycle, "synthesize"), (programs, "start_aws")):
        monkeypatch.setattr(module, name, starts)

    code = main(["up", "--folder", str(tmp_path / "sandbox"), "--free-ports"])

    printed = " ".join(capsys.readouterr().err.split())
    assert code == ExitCode.USAGE
    assert f"the sandbox cannot deploy {setting}: it needs version 6 of the AWS provider" in printed
    assert f"set {instead}" in printed
    assert Workspace(tmp_path / "sandbox").noted() is None


@pytest.mark.parametrize("text", [LOCAL, "regions = [", "table = 1", ""])
def test_all_else_is_left_to_the_settings(tmp_path, text):
    (tmp_path / "local.toml").write_text(text)

    refuse_unsupported(tmp_path / "local.toml")


def test_a_file_that_does_not_exist_is_left_to_them_too(tmp_path):
    refuse_unsupported(tmp_path / "local.toml")


def test_the_refusal_is_an_error_of_usage(tmp_path):
    (tmp_path / "local.toml").write_text(STRONG)

    with pytest.raises(OpsError) as caught:
        refuse_unsupported(tmp_path / "local.toml")
    assert caught.value.exit_code is ExitCode.USAGE
