"""Customers and keys: the environment file, the key file, and the verbs on both."""

import json
import subprocess
from pathlib import Path

import pytest
from fake_environment import EAST, Canned, environment
from repository_files import REPOSITORY

from ops import customers
from ops.environment_file import Customer, EnvironmentFile
from ops.errors import ExitCode, OpsError
from ops.key_values import VARIABLE, KeyFile, given

pytestmark = pytest.mark.unit

TEXT = """# What is sold.
[plans.standard]
rate_per_second = 50.0
burst = 100

# Who reads.
[[customers]]
name = "acme"      # since 2021
plan = "standard"

[[customers]]
name = "globex"
plan = "standard"
keys = [3]

[backend]
type = "local"
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "trial.toml"
    path.write_text(TEXT)
    return EnvironmentFile(path)


@pytest.fixture
def keys(tmp_path):
    return KeyFile(tmp_path / "secrets" / "trial.json")


def test_the_file_names_the_customers_and_their_keys(file):
    assert file.customers == (
        Customer("acme", "standard", (1,)), Customer("globex", "standard", (3,)),
    )  # fmt: skip
    assert file.customers[1].keys == ("globex-3",)
    assert file.plans == ("standard",)


def test_issuing_makes_a_value_once_and_prints_nothing_twice(file, keys):
    made = customers.issue(file, keys, {})

    assert set(made) == {"acme-1", "globex-3"}
    assert all(len(v) == 40 and v.isalnum() for v in made.values())
    assert len(set(made.values())) == 2
    assert customers.issue(file, keys, {}) == {}
    assert keys.values() == made


def test_a_new_customer_is_added_to_the_file_and_nothing_else_changes(file, keys):
    made = customers.issue(file, keys, {}, customer="initech", plan="standard")

    assert set(made) == {"initech-1"}
    added = '[[customers]]\nname = "initech"\nplan = "standard"\n'
    assert file.path.read_text().replace(added, "").split() == TEXT.split()
    assert file.customers[-1] == Customer("initech", "standard", (1,))


def test_the_first_customer_of_a_file_is_added_too(tmp_path, keys):
    path = tmp_path / "new.toml"
    path.write_text('[plans.gold]\nburst = 1\n[backend]\ntype = "local"\n')

    customers.issue(EnvironmentFile(path), keys, {}, customer="acme", plan="gold")

    assert EnvironmentFile(path).customers == (Customer("acme", "gold", (1,)),)


@pytest.mark.parametrize(
    ("customer", "plan", "message"),
    [
        ("initech", None, "has no customer 'initech'"),
        ("initech", "gold", "has no plan 'gold'"),
        ("acme", "gold", "acme is on the plan standard, not gold"),
    ],
)
def test_a_wrong_name_or_plan_changes_nothing(file, keys, customer, plan, message):
    with pytest.raises(OpsError, match=message) as raised:
        customers.issue(file, keys, {}, customer=customer, plan=plan)

    assert raised.value.exit_code is ExitCode.USAGE
    assert file.path.read_text() == TEXT
    assert not keys.path.exists()


def test_a_deployed_key_whose_value_is_not_here_gets_no_other_one(file, keys):
    with pytest.raises(OpsError, match="acme-1 is deployed, and its value is not known") as raised:
        customers.issue(file, keys, {"acme-1": {EAST: "k1"}})

    assert "customers pull --environment trial" in str(raised.value)
    assert not keys.path.exists()


def test_a_rotation_has_two_keys_until_it_is_finished(file, keys):
    # GIVEN issued keys
    issued = customers.issue(file, keys, {})

    # WHEN a rotation begins, THEN the old key stays beside the new one
    made = customers.rotate(file, keys, {}, "globex")
    assert set(made) == {"globex-4"}
    assert file.customer("globex").numbers == (3, 4)
    assert keys.values() == issued | made

    # AND a second one cannot begin
    with pytest.raises(OpsError, match="globex has two keys already: globex-3, globex-4"):
        customers.rotate(file, keys, {}, "globex")

    # WHEN it is finished, THEN the newer one stays; the old value is kept, should one go back
    assert customers.finish_rotation(file, "globex") == ("globex-3", "globex-4")
    assert file.customer("globex").numbers == (4,)
    assert "globex-3" in keys.values()
    with pytest.raises(OpsError, match="globex has one key only: globex-4"):
        customers.finish_rotation(file, "globex")

    # AND the next rotation forgets it
    customers.rotate(file, keys, {}, "globex")
    assert set(keys.values()) == {"acme-1", "globex-4", "globex-5"}


def test_an_unknown_customer_is_not_rotated(file, keys):
    with pytest.raises(OpsError, match="has no customer 'umbrella'") as raised:
        customers.rotate(file, keys, {}, "umbrella")

    assert "name one of: acme, globex" in str(raised.value)


def test_the_list_tells_what_is_known_and_deployed_where(file):
    states = customers.listed(
        file, {"acme-1": "v"}, {"acme-1": {EAST: "k1"}, "globex-2": {EAST: "k2"}}
    )

    assert [(s.name, s.plan, s.has_value, s.regions) for s in states] == [
        ("acme-1", "standard", True, (EAST,)),
        ("globex-3", "standard", False, ()),
        ("globex-2", "", False, (EAST,)),
    ]
    assert {s.regions for s in customers.listed(file, {}, None)} == {None}


def test_values_are_read_from_api_gateway(keys):
    gateway = Canned(get_api_key={"value": "from-aws"})
    deployed = environment({("apigateway", EAST): gateway})

    assert customers.pull(deployed, keys) == {"operator-1": "from-aws"}
    assert keys.values() == {"operator-1": "from-aws"}
    assert gateway.calls == [("get_api_key", {"apiKey": "key-east", "includeValue": True})]


def test_terraform_gets_the_values_of_the_files_keys_and_no_others(file):
    values = {"acme-1": "a", "globex-3": "g", "globex-2": "old"}

    assert customers.values_for_terraform(file, values) == {"acme-1": "a", "globex-3": "g"}
    with pytest.raises(OpsError, match="no value is known here for globex-3"):
        customers.values_for_terraform(file, {"acme-1": "a"})


def test_values_are_readable_by_this_user_only(keys):
    keys.make(["acme-1"])

    assert keys.path.stat().st_mode & 0o077 == 0
    assert keys.path.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["[]", '{"acme-1": 3}', "acme"])
def test_what_is_no_object_of_texts_is_refused_without_being_shown(text):
    with pytest.raises(OpsError, match="no JSON object of texts") as raised:
        given({VARIABLE: text})

    assert text not in str(raised.value).replace("JSON object", "")


def test_the_repository_never_sees_values():
    assert ".secrets/" in (REPOSITORY / ".gitignore").read_text().splitlines()


def test_tools_play_the_first_customer_or_the_one_that_is_named():
    listed = [{"name": n, "plan": "p", "keys": [f"{n}-1", f"{n}-2"]} for n in ("acme", "globex")]
    values = {"acme-2": "A", "globex-1": "G"}
    given = {"outputs": {"customers": listed}, "key_values": values}

    assert environment(**given).api_key == "A"
    assert environment(**given, customer="globex").api_key == "G"
    with pytest.raises(OpsError, match="has no customer umbrella"):
        environment(**given, customer="umbrella").api_key  # noqa: B018
    with pytest.raises(OpsError, match="acme-1 is not known on this machine"):
        environment(**given | {"key_values": {}}).api_key  # noqa: B018
    with pytest.raises(OpsError, match="has no customer at all"):
        environment(outputs={"customers": []}).api_key  # noqa: B018


class TestCommandLine:
    """The verbs as they are typed, on a file of their own."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path, monkeypatch):
        (tmp_path / "local.toml").write_text(TEXT)
        monkeypatch.setenv("FAILOVER_ENVIRONMENTS", str(tmp_path))
        self.path = tmp_path / "local.toml"
        self.folder = tmp_path / "stand"

    def run(self, *arguments):
        from ops.__main__ import main

        return main(["customers", *arguments, "--folder", str(self.folder)])

    def test_values_alone_go_to_standard_output(self, capsys):
        assert self.run("issue") == ExitCode.PASSED

        printed = capsys.readouterr()
        assert [line.split()[0] for line in printed.out.splitlines()] == ["acme-1", "globex-3"]
        assert "python -m ops local up" in printed.err
        for line in printed.out.splitlines():
            assert line.split()[1] not in printed.err

    def test_the_list_shows_no_value(self, capsys):
        self.run("issue")
        value = capsys.readouterr().out.split()[1]

        assert self.run("list") == ExitCode.PASSED

        printed = capsys.readouterr()
        assert "globex-3" in printed.out
        assert "nowhere yet" in printed.out
        assert value not in printed.out + printed.err

    def test_rotation_and_its_end_tell_the_next_step(self, capsys):
        self.run("issue")
        assert self.run("rotate", "acme") == ExitCode.PASSED
        assert "python -m ops customers rotate acme --finish" in capsys.readouterr().err

        assert self.run("rotate", "acme", "--finish") == ExitCode.PASSED
        assert "acme-1 stops in every Region" in capsys.readouterr().err

    def test_env_prints_an_export_that_a_shell_reads(self, capsys):
        self.run("issue")
        capsys.readouterr()

        assert self.run("env") == ExitCode.PASSED

        line = capsys.readouterr().out.strip()
        command = ["sh", "-c", f"{line}; printenv {VARIABLE}"]
        shown = subprocess.run(command, capture_output=True, check=True).stdout
        assert set(json.loads(shown)) == {"acme-1", "globex-3"}

    def test_env_without_values_fails_and_prints_no_export(self, capsys):
        assert self.run("env") == ExitCode.USAGE

        printed = capsys.readouterr()
        assert printed.out == ""
        assert "customers issue --environment local" in printed.err

    def test_a_plan_without_customer_and_an_unknown_environment_are_refused(self, capsys):
        assert self.run("issue", "--plan", "standard") == ExitCode.USAGE
        assert self.run("list", "--environment", "nowhere") == ExitCode.USAGE
        assert "name one of the environments: local" in capsys.readouterr().err

    def test_a_broken_file_is_told_without_a_traceback(self, capsys):
        self.path.write_text("[[customers\n")

        assert self.run("list") == ExitCode.USAGE
        assert f"{self.path} is not a TOML file" in capsys.readouterr().err

    def test_another_file_for_the_values_is_taken(self, tmp_path, capsys):
        other = tmp_path / "elsewhere" / "keys.json"
        assert self.run("issue", "acme", "--keys-file", str(other)) == ExitCode.PASSED

        assert set(json.loads(Path(other).read_text())) == {"acme-1"}
        assert not self.folder.exists()
