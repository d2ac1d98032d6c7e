"""What is deployed is not deployed again with an empty state."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from fake_environment import EAST, Canned

from constructs_lib.settings import stack_names
from ops import deployed_keys, state_bucket
from ops.__main__ import main
from ops.deployed_keys import InService
from ops.environment_file import EnvironmentFile
from ops.errors import ExitCode, UsageError
from ops.key_values import KeyFile
from ops.stacks import state_key

pytestmark = pytest.mark.unit

TEXT = """regions = ["us-east-1", "us-west-2"]
api.name = "weather"
customers = [{ name = "acme", plan = "standard" }]
backend = { type = "s3", bucket = "states", key = "trial.tfstate", region = "eu-west-1" }
"""
DEPLOYED = InService(EAST, {"acme-1": "k1"}, {"acme-1": "value"})


def without_object(code="404"):
    return Canned(head_object=ClientError({"Error": {"Code": code}}, "HeadObject"))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "trial.toml"
    path.write_text(TEXT)
    return EnvironmentFile(path)


@pytest.mark.parametrize("code", ["404", "NoSuchKey", "NoSuchBucket"])
def test_what_is_deployed_is_refused_where_there_is_no_state(file, code):
    with pytest.raises(UsageError, match=r"s3://states/trial\.tfstate does not exist") as raised:
        state_bucket.refuse_without_state(file, DEPLOYED, lambda _: without_object(code))

    assert f"API Gateway in {EAST} has acme-1" in str(raised.value)
    assert state_bucket.RUNBOOK in str(raised.value)


def test_a_state_is_looked_for_where_the_file_says(file, monkeypatch):
    s3, regions = Canned(head_object={}), []

    def client(region):
        regions.append(region)
        return s3

    state_bucket.refuse_without_state(file, DEPLOYED, client)
    monkeypatch.setenv("TF_WORKSPACE", "blue")
    state_bucket.refuse_without_state(file, DEPLOYED, client)

    assert regions == ["eu-west-1", "eu-west-1"]
    assert [call for _, call in s3.calls] == [
        {"Bucket": "states", "Key": "trial.tfstate"},
        {"Bucket": "states", "Key": "env:/blue/trial.tfstate"},
    ]


def test_of_several_states_that_of_the_region_with_the_keys_is_looked_for(file):
    file.path.write_text(f'layout = "regional"\n{TEXT}')
    s3 = Canned(head_object={})

    state_bucket.refuse_without_state(file, DEPLOYED, lambda _: s3)

    assert [call for _, call in s3.calls] == [{"Bucket": "states", "Key": f"trial-{EAST}.tfstate"}]


@pytest.mark.parametrize("key", ["a.b/trial.tfstate", "trial", "a/.tfstate", "a/b"])
def test_the_key_of_a_state_is_that_which_is_synthesized(key):
    assert state_key(key, EAST) == stack_names.state_key(key, EAST)


def test_nothing_deployed_and_a_local_state_are_not_looked_up(file):
    def nothing(_):
        raise AssertionError

    state_bucket.refuse_without_state(file, InService(EAST, {}, {}), nothing)
    file.path.write_text(TEXT.replace('"s3"', '"local"'))
    state_bucket.refuse_without_state(file, DEPLOYED, nothing)


class TestCommandLine:
    """`ops customers env`, which precedes a deployment."""

    @pytest.fixture(autouse=True)
    def deployed(self, file, tmp_path, monkeypatch):
        monkeypatch.setenv("FAILOVER_ENVIRONMENTS", str(file.path.parent))
        self.keys = KeyFile(tmp_path / "keys.json", "trial")
        self.keys.add({"acme-1": "value"})
        items = [{"id": "k1", "name": "weather-trial-acme-1", "value": "value"}]
        gateway = Canned(get_api_keys={"items": items})
        monkeypatch.setattr(deployed_keys, "on_aws", lambda _: gateway)
        self.s3 = without_object()
        monkeypatch.setattr(state_bucket, "on_aws", lambda _: self.s3)
        self.folder = tmp_path / "sandbox"

    def env(self):
        where = ("--keys-file", str(self.keys.path), "--folder", str(self.folder))
        return main(["customers", "env", "--environment", "trial", *where])

    def test_terraform_gets_no_values_for_an_empty_state(self, capsys):
        assert self.env() == ExitCode.USAGE

        printed = capsys.readouterr()
        assert printed.out == ""
        assert "Terraform would create everything again" in printed.err

    def test_a_bucket_that_cannot_be_asked_is_reported_and_refuses_nothing(self, capsys):
        for unknown in (EndpointConnectionError(endpoint_url="x"), without_object("403")):
            self.s3 = unknown if isinstance(unknown, Canned) else Canned(head_object=unknown)

            assert self.env() == ExitCode.PASSED

            printed = capsys.readouterr()
            assert printed.out.startswith("export TF_VAR_api_keys=")
            assert "Whether the state bucket has a state is unknown" in printed.err

    def test_an_environment_with_its_state_is_deployed(self, capsys):
        self.s3 = Canned(head_object={})

        assert self.env() == ExitCode.PASSED

        assert capsys.readouterr().err == ""
