"""Commands on customers whose AWS or Terraform fails: no value is lost, or made twice."""

import json
import random
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import pytest
from fake_environment import EAST, OUTPUTS, WEST
from faulty_aws import KEY, KINDS, Schedule, more_seeds
from faulty_operator import operator

from constructs_lib.outputs import Outputs
from ops import deployed_keys, deployment
from ops.cli import customers as customers_cli
from ops.cli import customers_state
from ops.descriptor import Descriptor
from ops.environment_file import EnvironmentFile
from ops.errors import ExitCode, OpsError
from ops.key_values import VARIABLE

pytestmark = pytest.mark.model

FILE = """regions = ["us-east-1", "us-west-2"]

[api]
name = "weather"

[plans.standard]
rate_per_second = 50.0
burst = 100

[[customers]]
name = "operator"
plan = "standard"
"""
PREFIX = "weather-production-"
ACTIONS = (
    *(("issue",), ("issue", "acme", "--plan", "standard"), ("rotate", "operator"), ("env",)),
    *(("rotate", "operator", "--finish"), ("rotate", "operator", "--at-once"), ("pull",)),
    *(("export",), ("deploy",), ("rotate", "acme"), ("rotate", "acme", "--finish")),
)


class Machine:
    """A machine with an environment file and a file of values, and what Terraform has applied."""

    def __init__(self, ada):
        self.ada, self.state = ada, dict(OUTPUTS)
        self.path, self.keys = ada.folder / "production.toml", ada.folder / "keys.json"
        self.path.write_text(FILE)
        self.deployed = {"operator-1": KEY}
        self.promised = dict(self.deployed)
        self.deploy(self.deployed)

    @property
    def file(self):
        return EnvironmentFile(self.path)

    @property
    def values(self):
        if not self.keys.exists():
            return {}
        return json.loads(self.keys.read_text())["api_keys"]["production"]

    @property
    def descriptor(self):
        return self.ada.folder / "export.json"

    def deploy(self, values):
        """What Terraform applies: the keys of the file in every Region, with these values."""
        self.deployed = dict(values)
        listed = [
            {"id": f"id-{name}", "name": PREFIX + name, "value": value}
            for name, value in values.items()
        ]
        for region in (EAST, WEST):
            self.ada.aws.change("apigateway", region, get_api_keys={"items": listed})
        self.state["api_key_ids"] = {
            name: dict.fromkeys((EAST, WEST), f"id-{name}") for name in values
        }

    def outputs(self, *_):
        """What `terraform output` gives: it fails as AWS does, with the state bucket."""
        match self.ada.aws.schedule.fault("s3", EAST, "get_object"):
            case None | "lost":
                return dict(self.state)
            case "empty":
                return {}
            case "malformed":
                return self.state | {"api_key_ids": "x", "regions": None}
            case kind:
                raise OpsError(f"terraform output failed: {kind}", next_step="terraform init")

    def run(self, command, *words):
        arguments = ["customers", command, *words, "--keys-file", str(self.keys)]
        if command == "export":
            arguments = ["export", "--output", str(self.descriptor)]
        stack = [] if command == "pull" else ["--stack-folder", str(self.ada.folder)]
        return self.ada.run(*arguments, *stack)


@contextmanager
def machine(schedule):
    """A machine whose commands start no process."""
    with operator(schedule) as ada, ExitStack() as stack:
        made = Machine(ada)
        stack.enter_context(
            patch.dict("os.environ", {"FAILOVER_ENVIRONMENTS": str(ada.folder)}, clear=False)
        )

        def opened(outputs):
            return ada.aws.environment(outputs=outputs, folder=ada.folder)

        for module, name, value in (
            (deployment, "terraform_outputs", made.outputs),
            (customers_state, "Environment", lambda found, *_: opened(found.outputs.to_json())),
            (customers_cli, "environment_from", lambda _: opened(made.state)),
            (deployed_keys, "on_aws", lambda r: ada.environment.client("apigateway", r)),
            (EnvironmentFile, "_checked", lambda _, document: document.as_string()),
        ):
            stack.enter_context(patch.object(module, name, value))
        yield made


def test_without_faults_every_command_passes():
    with machine(Schedule()) as one:
        for words in (
            *(("pull",), ("issue",), ("env",), ("issue", "acme", "--plan", "standard")),
            *(("rotate", "operator"), ("export",)),
        ):
            code, document = one.run(*words)
            assert code == ExitCode.PASSED, (words, document)
        one.deploy(one.values)
        assert one.run("rotate", "operator", "--finish")[0] == ExitCode.PASSED
        assert one.file.customers[0].keys == ("operator-2",)
        assert Descriptor.from_json(json.loads(one.descriptor.read_text()))


def holds_for_commands(seed):
    chance = random.Random(seed)
    schedule = Schedule(
        seed,
        share=chance.choice([0.0, 0.1, 0.3, 1.0]),
        kinds=tuple(chance.sample(KINDS, chance.randint(1, len(KINDS)))),
        expires_after=chance.choice([None, chance.randint(0, 60)]),
    )
    with machine(schedule) as one:
        one.run("pull")
        for _ in range(chance.randint(3, 9)):
            words = chance.choice(ACTIONS)
            before = (one.path.read_text(), one.values, _text(one.descriptor))
            if words == ("deploy",):
                named = {name for each in one.file.customers for name in each.keys}
                if named <= one.values.keys():
                    one.deploy({name: one.values[name] for name in named})
                continue
            code, document = one.run(*words)

            _holds(one, words, code, document, before)


def _text(path):
    return path.read_text() if path.exists() else None


def _holds(one, words, code, document, before):
    text, values, described = before
    named = {name for each in one.file.customers for name in each.keys}
    made = document.get("values", {})
    # A value is made once and printed when it is made; what was promised is never another.
    for name, value in made.items():
        assert one.promised.setdefault(name, value) == value
        assert one.values[name] == value
    for name in one.values.keys() & one.promised.keys():
        assert one.values[name] == one.promised[name]
    assert len({*one.values.values()}) == len(one.values)
    # What is named by the file, or deployed, keeps its value.
    kept = named | one.deployed.keys()
    assert {name for name in values if name in kept} <= one.values.keys()
    if code != ExitCode.PASSED:
        assert document["error"]["message"]
        assert not made
        assert one.path.read_text() == text
    if words == ("env",) and code == ExitCode.PASSED:
        given = json.loads(document["variables"][VARIABLE])["production"]
        assert given.keys() == named
        assert all(given[name] == v for name, v in one.deployed.items() if name in given)
    if words == ("export",) and code == ExitCode.PASSED:
        written = Descriptor.from_json(json.loads(one.descriptor.read_text()))
        assert written.outputs == Outputs.from_json(one.state)
    else:
        assert _text(one.descriptor) == described
    assert not [*one.ada.folder.glob(".*.json.[0-9]*")]


@pytest.mark.parametrize("seed", range(12))
def test_no_value_is_lost_or_made_twice(seed):
    holds_for_commands(seed)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", more_seeds(12))
def test_no_value_is_lost_or_made_twice_in_many_cases(seed):
    holds_for_commands(seed)
