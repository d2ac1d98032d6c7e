"""The stacks of an environment, one or several, as the operator's tool finds and reads them."""

import json

import pytest
from cdktf import App
from repository_files import REPOSITORY

import weather_api.stack
from constructs_lib.settings import load
from ops.diagram.graph import source_of
from ops.diagram.reading import read
from ops.iam.names import names_of_stack
from ops.iam.terraform_actions import terraform_grants
from ops.stacks import read_stacks, stacks_of

pytestmark = pytest.mark.unit

REGIONAL = ("trial-data", "trial-us-west-2", "trial-us-east-1", "trial-routing")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """`{layout: folder}` of one environment with every option, synthesized with each layout."""
    text = (REPOSITORY / "tests" / "hardened" / "local.toml").read_text()
    folders = {}
    for layout in ("single", "regional"):
        folder = tmp_path_factory.mktemp(layout)
        file = folder / "trial.toml"
        backend = 'type = "s3"\nbucket = "states"\nkey = "trial.tfstate"\nregion = "us-east-2"'
        assert 'type = "local"' in text
        file.write_text(f'layout = "{layout}"\n' + text.replace('type = "local"', backend))
        app = App(outdir=str(folder / "out"))
        weather_api.stack.build_stack(app, load(file))
        app.synth()
        folders[layout] = folder / "out"
    return folders


def test_they_are_in_the_order_of_deployment(outputs):
    assert [folder.name for folder in stacks_of("trial", outputs["single"])] == ["trial"]
    stacks = stacks_of("trial", outputs["regional"])
    assert tuple(folder.name for folder in stacks) == REGIONAL
    assert all((folder / "cdk.tf.json").is_file() for folder in stacks)


def test_another_environment_whose_name_begins_alike_is_not_taken_for_one(tmp_path):
    manifest = {"stacks": {name: {"dependencies": []} for name in ("trial", "trial-routing")}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))

    for name in ("trial", "trial-routing", "other"):
        assert stacks_of(name, tmp_path) == (tmp_path / "stacks" / name,)


@pytest.mark.parametrize("text", [None, "", "[]", '{"stacks": 3}', '{"stacks": {"a": {}}}'])
def test_without_a_manifest_there_is_one_stack(tmp_path, text):
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)

    assert stacks_of("trial", tmp_path) == (tmp_path / "stacks" / "trial",)


@pytest.fixture
def whole(outputs):
    return {name: read_stacks(stacks_of("trial", folder)) for name, folder in outputs.items()}


def test_a_diagram_is_the_same_whatever_the_layout(whole):
    assert source_of(read(whole["regional"])) == source_of(read(whole["single"]))


def test_a_policy_differs_in_the_keys_of_the_states_only(whole):
    names = {layout: dict(names_of_stack(stack, "trial")) for layout, stack in whole.items()}

    assert names["single"].pop("state_key") == ["trial.tfstate"]
    assert names["regional"].pop("state_key") == [f"{name}.tfstate" for name in REGIONAL]
    assert names["regional"] == names["single"]
    for writes in (True, False):
        grants = [terraform_grants(stack, writes=writes) for stack in whole.values()]
        assert sorted(map(str, grants[0])) == sorted(map(str, grants[1]))
