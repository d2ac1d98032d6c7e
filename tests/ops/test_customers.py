"""Customers and keys: the environment file, the key file, and the verbs on both."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError
from fake_environment import EAST, WEST, Canned, environment
from repository_files import REPOSITORY

from ops import customers
from ops.environment_file import Customer, EnvironmentFile
from ops.errors import ExitCode, OpsError
from ops.key_values import VARIABLE, KeyFile, as_variable, given

pytestmark = pytest.mark.unit

TEXT = """# The least that is valid.
regions = ["us-east-1", "us-west-2"]

[api]
name = "weather"

[table]
name = "weather"

[domain]
zone_name = "example.com"
record_name = "weather.example.com"

# What is sold.
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
keys = [3]         # the third

# Where the state is.
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
    return KeyFile(tmp_path / "secrets" / "trial.json", "trial")


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
    added = '\n[[customers]]\nname = "initech"\nplan = "standard"\n'
    before, after = TEXT.split("# the third\n")
    assert file.path.read_text() == f"{before}# the third\n{added}{after}"
    assert file.customers[-1] == Customer("initech", "standard", (1,))


def test_the_first_customer_of_a_file_is_added_at_its_end(file, keys):
    without = TEXT.split("# Who reads.")[0] + '[backend]\ntype = "local"'
    file.path.write_text(without)

    customers.issue(file, keys, {}, customer="acme", plan="standard")

    added = '\n\n[[customers]]\nname = "acme"\nplan = "standard"\n'
    assert file.path.read_text() == without + added


def test_an_edit_keeps_line_ends_and_a_symbolic_link(file, keys, tmp_path):
    file.path.rename(tmp_path / "target.toml")
    (tmp_path / "target.toml").write_text(TEXT, newline="\r\n")
    file.path.symlink_to(tmp_path / "target.toml")

    customers.rotate(file, keys, {}, "globex")

    assert file.path.is_symlink()
    written = (tmp_path / "target.toml").read_bytes().decode()
    assert written == TEXT.replace("keys = [3] ", "keys = [3, 4] ").replace("\n", "\r\n")


def test_the_example_is_edited_line_by_line(tmp_path, keys):
    text = (REPOSITORY / "environments" / "example.toml").read_text()
    (tmp_path / "mine.toml").write_text(text)
    mine = EnvironmentFile(tmp_path / "mine.toml")

    customers.rotate(mine, keys, {}, "acme")
    customers.rotate(mine, keys, {}, "operator")

    expected = text.replace("keys = [1]   ", "keys = [1, 2]   ").replace(
        'name = "operator"\nplan = "standard"\n',
        'name = "operator"\nplan = "standard"\nkeys = [1, 2]\n',
    )
    assert mine.path.read_text() == expected


@pytest.mark.parametrize(
    "listed",
    [
        'customers = [{name = "acme", plan = "standard"}]\n',
        "customers = []\n",
        'customers = "x"\n',
        '[customers]\nname = "acme"\n',
    ],
)
@pytest.mark.parametrize("verb", ["issue", "rotate"])
def test_customers_written_in_another_form_are_left_alone(file, keys, listed, verb):
    top, rest = TEXT.split("[api]")
    rest = rest.split("# Who reads.")[0]
    text = f"{listed}{top}[api]{rest}" if listed.startswith("cust") else f"{top}[api]{rest}{listed}"
    file.path.write_text(text)

    change = {
        "issue": lambda: customers.issue(file, keys, {}, customer="initech", plan="standard"),
        "rotate": lambda: customers.rotate(file, keys, {}, "acme"),
    }
    with pytest.raises(OpsError) as raised:
        change[verb]()

    assert raised.value.exit_code is ExitCode.USAGE
    assert file.path.read_text() == text


def test_what_the_settings_refuse_is_not_written(file, keys):
    with pytest.raises(OpsError, match="would not be valid, and stays as it is") as raised:
        customers.issue(file, keys, {}, customer="Acme Corp", plan="standard")

    assert "1 to 32 lowercase letters" in str(raised.value)
    assert file.path.read_text() == TEXT
    assert keys.values() == {}


@pytest.mark.parametrize(
    ("customer", "plan", "message"),
    [
        ("initech", None, "has no customer 'initech'"),
        ("initech", "gold", '"gold" is no plan of this file'),
        ("acme", "gold", "acme is on the plan standard, not gold"),
    ],
)
def test_a_wrong_name_or_plan_changes_nothing(file, keys, customer, plan, message):
    with pytest.raises(OpsError, match=message) as raised:
        customers.issue(file, keys, {}, customer=customer, plan=plan)

    assert raised.value.exit_code is ExitCode.USAGE
    assert file.path.read_text() == TEXT
    assert keys.values() == {}


def test_a_deployed_key_whose_value_is_not_here_gets_no_other_one(file, keys):
    with pytest.raises(OpsError, match="acme-1 is deployed, and its value is not known") as raised:
        customers.issue(file, keys, {"acme-1": {EAST: "k1"}})

    assert "customers pull --environment trial" in str(raised.value)
    with pytest.raises(OpsError, match="umbrella-1 is deployed"):
        customers.issue(
            file, keys, {"umbrella-1": {EAST: "k"}}, customer="umbrella", plan="standard"
        )
    assert keys.values() == {}
    assert file.path.read_text() == TEXT


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
    deployed = {f"globex-{n}": {EAST: f"e{n}", WEST: f"w{n}"} for n in (3, 4)}
    assert customers.finish_rotation(file, keys, deployed, "globex") == ("globex-3", "globex-4")
    assert file.customer("globex").numbers == (4,)
    assert "globex-3" in keys.values()
    with pytest.raises(OpsError, match="globex has one key only: globex-4"):
        customers.finish_rotation(file, keys, deployed, "globex")

    # AND the next rotation forgets it, once AWS has, and nothing of anybody else
    customers.rotate(file, keys, {"globex-4": {EAST: "e4"}}, "globex")
    assert set(keys.values()) == {"acme-1", "globex-4", "globex-5"}


def test_a_rotation_is_not_finished_before_the_new_key_is_deployed_everywhere(file, keys):
    customers.rotate(file, keys, {}, "globex")
    deployed = {"globex-3": {EAST: "e", WEST: "w"}, "globex-4": {EAST: "e"}}

    with pytest.raises(OpsError, match=f"globex-4 is not deployed in {WEST}"):
        customers.finish_rotation(file, keys, deployed, "globex")

    assert file.customer("globex").numbers == (3, 4)


def test_a_leaked_key_ends_with_the_deployment_that_brings_the_new_one(file, keys):
    customers.issue(file, keys, {})
    customers.rotate(file, keys, {}, "globex")

    made = customers.rotate(file, keys, {}, "globex", at_once=True)

    assert set(made) == {"globex-5"}
    assert file.customer("globex").numbers == (5,)


def test_no_value_is_ever_given_out_twice(file, keys):
    """GIVEN a rotation that was taken back by hand, THEN the next one has another value."""
    first = customers.rotate(file, keys, {}, "acme")
    file.path.write_text(TEXT)

    second = customers.rotate(file, keys, {}, "acme")
    third = customers.rotate(file, keys, {"acme-7": {EAST: "k"}}, "acme", at_once=True)

    assert [*first, *second, *third] == ["acme-2", "acme-3", "acme-8"]
    assert len({*first.values(), *second.values(), *third.values()}) == 3


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


def test_values_are_read_from_another_region_if_the_primary_is_gone(keys):
    deployed = environment(
        {
            ("apigateway", EAST): Canned(get_api_key=EndpointConnectionError(endpoint_url="east")),
            ("apigateway", WEST): Canned(get_api_key={"value": "from-west"}),
        }
    )

    assert customers.pull(deployed, keys) == {"operator-1": "from-west"}


def test_terraform_gets_the_values_of_the_files_keys_and_no_others(file):
    values = {"acme-1": "a", "globex-3": "g", "globex-2": "old"}

    assert customers.values_for_terraform(file, values) == {"acme-1": "a", "globex-3": "g"}
    with pytest.raises(OpsError, match="no value is known here for globex-3"):
        customers.values_for_terraform(file, {"acme-1": "a"})


def test_values_are_readable_by_this_user_only(keys):
    with keys.locked():
        keys.make(["acme-1"])

    assert keys.path.stat().st_mode & 0o077 == 0
    assert keys.path.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["[]", '{"acme-1": "secret"}', '{"trial": {"a": 3}}', "acme"])
def test_what_is_no_values_by_environment_is_refused_without_being_shown(text):
    with pytest.raises(OpsError, match="holds no values of API keys") as raised:
        given({VARIABLE: text}, "trial")

    assert text not in str(raised.value)


def test_values_of_one_environment_are_never_anothers(keys):
    exported = as_variable("trial", {"operator-1": "trials"})

    assert given(exported, "trial") == {"operator-1": "trials"}
    assert given(exported, "production") == {}
    keys.keep({"operator-1": "trials"})
    assert KeyFile(keys.path, "production").values() == {}
    assert json.loads(keys.path.read_text()) == {"api_keys": {"trial": {"operator-1": "trials"}}}


def test_more_values_than_a_variable_takes_are_refused_with_the_way_out():
    with pytest.raises(OpsError, match="too long for one environment variable") as raised:
        as_variable("trial", {f"customer-{n}": "v" * 40 for n in range(3000)})

    assert "--var-file=" in str(raised.value)


def test_nothing_is_lost_when_several_people_work_at_once(file, keys):
    def add(number):
        return customers.issue(file, keys, {}, customer=f"c{number}", plan="standard")

    with ThreadPoolExecutor(6) as pool:
        made = {name: v for one in pool.map(add, range(6)) for name, v in one.items()}

    assert {c.name for c in file.customers} == {"acme", "globex", *(f"c{n}" for n in range(6))}
    assert keys.values() == made


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
        assert set(json.loads(shown)["local"]) == {"acme-1", "globex-3"}

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
        assert f"{self.path} cannot be read: it is not a TOML file" in capsys.readouterr().err

    def test_the_local_values_stand_where_local_up_looks_for_them(self, tmp_path, capsys):
        assert self.run("issue", "acme", "--keys-file", str(tmp_path / "k")) == ExitCode.USAGE
        assert "leave out --keys-file" in capsys.readouterr().err

    def test_another_file_for_the_values_is_taken_and_repeated(self, tmp_path, capsys):
        self.path.rename(tmp_path / "trial.toml")
        other = tmp_path / "elsewhere" / "keys.json"
        arguments = ("--environment", "trial", "--keys-file", str(other), "--without-state")
        assert self.run("issue", "acme", *arguments) == ExitCode.PASSED

        assert set(json.loads(Path(other).read_text())["api_keys"]["trial"]) == {"acme-1"}
        assert f"env --environment trial --keys-file {other}" in capsys.readouterr().err

    def test_a_deployment_that_cannot_be_read_stops_whatever_makes_values(self, tmp_path, capsys):
        self.path.rename(tmp_path / "trial.toml")
        missing = ("--environment", "trial", "--stack-folder", str(tmp_path / "none"))
        for verb in (("issue",), ("rotate", "acme"), ("rotate", "acme", "--finish")):
            assert self.run(*verb, *missing) == ExitCode.USAGE
            printed = capsys.readouterr()
            assert printed.out == ""
            assert "cannot be read" in printed.err
            assert "--without-state" in printed.err
        assert self.run("list", *missing) == ExitCode.PASSED
        assert "unknown" in capsys.readouterr().out

    def test_a_key_file_that_is_none_is_told(self, tmp_path, capsys):
        self.path.rename(tmp_path / "trial.toml")
        (tmp_path / "folder").mkdir()
        for file in (tmp_path / "folder", tmp_path / "trial.toml" / "keys"):
            where = ("--environment", "trial", "--keys-file", str(file), "--without-state")
            assert self.run("issue", *where) == ExitCode.SURROUNDINGS
            assert "cannot be used" in capsys.readouterr().err
