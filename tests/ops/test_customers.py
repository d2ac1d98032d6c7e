"""Customers and keys: the environment file, the key file, and the commands on both."""

import json
import os
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.parsers import ResponseParserError
from fake_environment import EAST, WEST, Canned, environment, outputs, sandbox_access
from repository_files import REPOSITORY

from constructs_lib.settings import SettingsError, load
from ops import customers, deployed_keys
from ops.descriptor import Descriptor, descriptor_file, write
from ops.environment import Environment
from ops.environment_file import Customer, EnvironmentFile, errors_in
from ops.errors import ExitCode, OpsError
from ops.http_client import Network
from ops.key_values import VARIABLE, KeyFile, as_variable, given
from ops.terraform import Terraform

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
    return EnvironmentFile(path, errors_here)


def errors_here(path):
    """What `errors_in` finds, without a process for each edit."""
    try:
        load(path)
    except SettingsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("burst = 100", "burst = 0")])
def test_a_process_of_its_own_finds_the_same_errors(file, text):
    file.path.write_text(text)

    assert errors_in(file.path) == errors_here(file.path)
    assert bool(errors_in(file.path)) == (text != TEXT)


@pytest.fixture
def keys(tmp_path):
    return KeyFile(tmp_path / "secrets" / "trial.json", "trial")


def test_the_file_names_the_customers_and_their_keys(file):
    assert file.customers == (
        Customer("acme", "standard", (1,)), Customer("globex", "standard", (3,)),
    )  # fmt: skip
    assert file.customers[1].keys == ("globex-3",)
    assert file.plans == ("standard",)


def test_issuing_creates_each_value_once(file, keys):
    created = customers.issue(file, keys, {})

    assert set(created) == {"acme-1", "globex-3"}
    assert all(len(v) == 40 and v.isalnum() for v in created.values())
    assert len(set(created.values())) == 2
    assert customers.issue(file, keys, {}) == {}
    assert keys.values() == created


def test_a_new_customer_is_added_to_the_file_and_nothing_else_changes(file, keys):
    created = customers.issue(file, keys, {}, customer="initech", plan="standard")

    assert set(created) == {"initech-1"}
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
    mine = EnvironmentFile(tmp_path / "mine.toml", errors_here)

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
        '[[customers]]\nname = "acme"\nplan = "standard"\n[tags]\n[[customers]]\nname = "other"\n',
    ],
)
@pytest.mark.parametrize("command", ["issue", "rotate"])
def test_customers_written_in_another_form_are_not_edited(file, keys, listed, command):
    top, rest = TEXT.split("[api]")
    rest = rest.split("# Who reads.")[0]
    text = f"{listed}{top}[api]{rest}" if listed.startswith("cust") else f"{top}[api]{rest}{listed}"
    file.path.write_text(text)

    change = {
        "issue": lambda: customers.issue(file, keys, {}, customer="initech", plan="standard"),
        "rotate": lambda: customers.rotate(file, keys, {}, "acme"),
    }
    with pytest.raises(OpsError) as raised:
        change[command]()

    assert raised.value.exit_code is ExitCode.USAGE
    assert file.path.read_text() == text


def test_invalid_settings_are_not_written(file, keys):
    with pytest.raises(OpsError, match="would become invalid, and was not changed") as raised:
        customers.issue(file, keys, {}, customer="Acme Corp", plan="standard")

    assert "1 to 32 lowercase letters" in str(raised.value)
    assert file.path.read_text() == TEXT
    assert keys.values() == {}


@pytest.mark.parametrize(
    ("customer", "plan", "message"),
    [
        ("initech", None, "has no customer 'initech'"),
        ("initech", "gold", 'unknown plan "gold"'),
        ("acme", "gold", "acme is on the plan standard, not gold"),
    ],
)
def test_a_wrong_name_or_plan_changes_nothing(file, keys, customer, plan, message):
    with pytest.raises(OpsError, match=message) as raised:
        customers.issue(file, keys, {}, customer=customer, plan=plan)

    assert raised.value.exit_code is ExitCode.USAGE
    assert file.path.read_text() == TEXT
    assert keys.values() == {}


def test_a_deployed_key_of_unknown_value_is_never_replaced(file, keys):
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

    # WHEN a rotation begins, THEN both keys are in the file
    created = customers.rotate(file, keys, {}, "globex")
    assert set(created) == {"globex-4"}
    assert file.customer("globex").numbers == (3, 4)
    assert keys.values() == issued | created

    # AND a second one cannot begin
    with pytest.raises(OpsError, match="globex has two keys already: globex-3, globex-4"):
        customers.rotate(file, keys, {}, "globex")

    # WHEN it is finished, THEN the newer one is kept, and the old value in case this is undone
    deployed = {f"globex-{n}": {EAST: f"e{n}", WEST: f"w{n}"} for n in (3, 4)}
    assert customers.finish_rotation(file, keys, deployed, "globex") == ("globex-3", "globex-4")
    assert file.customer("globex").numbers == (4,)
    assert "globex-3" in keys.values()
    with pytest.raises(OpsError, match="globex has one key only: globex-4"):
        customers.finish_rotation(file, keys, deployed, "globex")

    # AND the next rotation removes it once it is not deployed, and no other value
    customers.rotate(file, keys, {"globex-4": {EAST: "e4"}}, "globex")
    assert set(keys.values()) == {"acme-1", "globex-4", "globex-5"}


def test_a_rotation_is_not_finished_before_the_new_key_is_deployed_everywhere(file, keys):
    customers.rotate(file, keys, {}, "globex")
    deployed = {"globex-3": {EAST: "e", WEST: "w"}, "globex-4": {EAST: "e"}}

    with pytest.raises(OpsError, match=f"globex-4 is not deployed in {WEST}"):
        customers.finish_rotation(file, keys, deployed, "globex")

    assert file.customer("globex").numbers == (3, 4)


def test_a_leaked_key_is_revoked_by_the_deployment_of_the_new_one(file, keys):
    customers.issue(file, keys, {})
    customers.rotate(file, keys, {}, "globex")

    created = customers.rotate(file, keys, {}, "globex", at_once=True)

    assert set(created) == {"globex-5"}
    assert file.customer("globex").numbers == (5,)


def test_no_value_is_ever_used_twice(file, keys):
    """GIVEN a rotation that was undone by hand, THEN the next one has another value."""
    first = customers.rotate(file, keys, {}, "acme")
    file.path.write_text(TEXT)

    second = customers.rotate(file, keys, {}, "acme")
    third = customers.rotate(file, keys, {"acme-7": {EAST: "k"}}, "acme", at_once=True)

    assert [*first, *second, *third] == ["acme-2", "acme-3", "acme-8"]
    assert len({*first.values(), *second.values(), *third.values()}) == 3


def test_a_file_that_is_older_than_the_deployment_is_not_rotated(file, keys):
    """GIVEN a rotation on another machine, THEN deploying this file would revoke its key."""
    deployed = {"acme-1": {EAST: "k1"}, "acme-2": {EAST: "k2"}}

    with pytest.raises(OpsError, match="acme-2 is deployed, and") as raised:
        customers.rotate(file, keys, deployed, "acme")

    assert "get the newest version of the file" in raised.value.next_step
    assert file.path.read_text() == TEXT
    assert keys.values() == {}


def test_an_unknown_customer_is_not_rotated(file, keys):
    with pytest.raises(OpsError, match="has no customer 'umbrella'") as raised:
        customers.rotate(file, keys, {}, "umbrella")

    assert "give one of: acme, globex" in str(raised.value)


def test_the_list_shows_known_values_and_deployed_regions(file):
    states = customers.listed(
        file, {"acme-1": "v"}, {"acme-1": {EAST: "k1"}, "globex-2": {EAST: "k2"}}
    )

    assert [(s.name, s.plan, s.has_value, s.regions) for s in states] == [
        ("acme-1", "standard", True, (EAST,)),
        ("globex-3", "standard", False, ()),
        ("globex-2", "", False, (EAST,)),
    ]
    assert {s.regions for s in customers.listed(file, {}, None)} == {None}


def in_gateway(**keys):
    """API Gateway with keys: `{name: (id, value)}`; `_` in a name is `-`."""

    def get_api_keys(**query):
        assert query["includeValues"]
        named = {name.replace("_", "-"): key for name, key in keys.items()}
        return {
            "items": [
                {"id": id, "name": name, "value": value} for name, (id, value) in named.items()
            ]
        }

    return Canned(get_api_keys=get_api_keys)


UNREACHABLE = Canned(get_api_keys=EndpointConnectionError(endpoint_url="nowhere"))


def test_values_are_read_from_api_gateway_in_one_request(keys):
    gateway = in_gateway(other=("k0", "no"), weather_production_operator_1=("key-east", "from-aws"))
    deployed = environment({("apigateway", EAST): gateway})

    assert deployed_keys.pull(deployed, keys) == {"operator-1": "from-aws"}
    assert keys.values() == {"operator-1": "from-aws"}
    assert len(gateway.calls) == 1


def test_a_key_that_api_gateway_does_not_have_is_named_and_nothing_is_stored(keys):
    without = in_gateway(other=("k0", "no"))
    deployed = environment({("apigateway", region): without for region in (EAST, WEST)})

    with pytest.raises(OpsError, match=f"API Gateway in {EAST} does not have operator-1"):
        deployed_keys.pull(deployed, keys)

    assert keys.values() == {}


def test_values_are_read_from_another_region_if_the_primary_is_down(keys):
    deployed = environment(
        {
            ("apigateway", EAST): UNREACHABLE,
            ("apigateway", WEST): in_gateway(x=("key-west", "from-west")),
        }
    )

    assert deployed_keys.pull(deployed, keys) == {"operator-1": "from-west"}


MALFORMED = {
    "not JSON": ResponseParserError("the response is not JSON"),
    "not a list": {"items": "x"},
    "a key without value": {"items": [{"id": "key-east", "name": "n"}]},
    "not keys": {"items": ["key-east"]},
}


@pytest.mark.parametrize("response", MALFORMED.values(), ids=MALFORMED)
def test_values_are_read_from_another_region_if_a_response_is_malformed(file, keys, response):
    acme = in_gateway(weather_trial_acme_1=("key-west", "west"))
    gateways = {EAST: Canned(get_api_keys=response), WEST: acme}
    deployed = environment({("apigateway", region): each for region, each in gateways.items()})

    assert deployed_keys.pull(deployed, keys) == {"operator-1": "west"}
    assert deployed_keys.in_service(file, gateways.get).region == WEST
    # AND without another Region it is an error, that says which response it was
    gateways[WEST] = UNREACHABLE
    with pytest.raises(OpsError, match=f"{EAST}: .*{WEST}: "):
        deployed_keys.in_service(file, gateways.get)


WITHOUT_KEYS = {
    "an empty list": {"items": []},
    "no list, as API Gateway may leave out an empty one": {},
    "keys of others": {"items": [{"id": "k", "name": "weather-production-acme-1", "value": "v"}]},
}


@pytest.mark.parametrize("response", WITHOUT_KEYS.values(), ids=WITHOUT_KEYS)
def test_a_region_without_keys_is_not_believed_before_every_region_was_asked(file, keys, response):
    """A Region that a deployment has not reached yet, or that lists a part only, has none."""
    acme = in_gateway(weather_trial_acme_1=("key-west", "west"))
    gateways = {EAST: Canned(get_api_keys=response), WEST: acme}
    deployed = environment({("apigateway", region): each for region, each in gateways.items()})

    assert deployed_keys.pull(deployed, keys) == {"operator-1": "west"}
    assert deployed_keys.in_service(file, gateways.get).values == {"acme-1": "west"}
    # AND if the other Region cannot be asked, nothing is known
    gateways[WEST] = UNREACHABLE
    with pytest.raises(OpsError, match=f"{EAST}: it has no key.*{WEST}: ") as raised:
        deployed_keys.in_service(file, gateways.get)
    assert "once it responds" in raised.value.next_step
    # AND if it has none either, there are none
    gateways[WEST] = Canned(get_api_keys={"items": []})
    assert not deployed_keys.in_service(file, gateways.get).ids


def test_a_key_of_the_account_may_have_no_name(file):
    nameless = Canned(get_api_keys={"items": [{"id": "k", "value": "v"}]})
    gateways = {EAST: Canned(get_api_keys={}), WEST: nameless}

    assert deployed_keys.in_service(file, gateways.get).others == {"": "v"}


def test_the_keys_in_service_are_those_of_this_environments_customers(file):
    east = in_gateway(
        weather_trial_acme_1=("k1", "a"), weather_trial_umbrella_1=("k2", "b"),
        weather_production_acme_1=("k3", "c"),
    )  # fmt: skip

    found = deployed_keys.in_service(file, {EAST: east}.__getitem__)

    assert (found.region, found.values) == (EAST, {"acme-1": "a"})
    assert found.deployed == {"acme-1": {EAST: "k1"}}
    assert found.others == {"weather-trial-umbrella-1": "b", "weather-production-acme-1": "c"}


def test_without_an_answer_nothing_is_known_of_the_keys_in_service(file):
    with pytest.raises(OpsError, match="no Region returns the deployed keys") as raised:
        deployed_keys.in_service(file, lambda region: UNREACHABLE)

    assert "apigateway:GET on /apikeys" in raised.value.next_step


def test_a_value_that_is_not_the_deployed_one_is_refused_and_not_shown(file):
    known = {"acme-1": "same", "acme-2": "of-this-machine", "globex-3": "not-deployed"}

    deployed_keys.refuse_other_values(
        file, known, in_east({"acme-1": "same", "globex-2": "unknown-here"})
    )
    with pytest.raises(OpsError, match="the value of acme-2 on this machine") as raised:
        deployed_keys.refuse_other_values(
            file, known, in_east({"acme-1": "same", "acme-2": "deployed"})
        )

    assert "customers pull --environment trial" in raised.value.next_step
    assert "of-this-machine" not in str(raised.value)
    assert raised.value.exit_code is ExitCode.USAGE


def in_east(values, others=None):
    return deployed_keys.InService(EAST, dict.fromkeys(values, "id"), values, others or {})


@pytest.mark.parametrize(
    ("values", "others", "owner"),
    [
        # A customer was renamed in the file, and kept the value.
        ({}, {"weather-trial-umbrella-1": "taken"}, "weather-trial-umbrella-1"),
        ({"acme-1": "a", "globex-2": "taken"}, {}, "weather-trial-globex-2"),
        ({}, {"weather-production-globex-3": "taken"}, "weather-production-globex-3"),
    ],
    ids=["renamed", "another number", "another environment"],
)
def test_a_value_that_another_key_of_the_account_has_is_refused(file, values, others, owner):
    known = {"acme-1": "a", "globex-3": "taken"}

    with pytest.raises(OpsError, match=f"the value of globex-3 is that of {owner}") as raised:
        deployed_keys.refuse_other_values(file, known, in_east(values, others))

    assert "customers issue --environment trial" in raised.value.next_step
    assert "taken" not in str(raised.value)


def test_a_key_that_is_deployed_has_its_own_value(file):
    known = {"acme-1": "a", "umbrella-1": "b"}

    deployed_keys.refuse_other_values(
        file, known, in_east({"acme-1": "a"}, {"weather-trial-umbrella-1": "b"})
    )


def test_one_value_for_two_keys_is_refused_before_any_is_issued(file, keys):
    keys.add({"acme-1": "same"})
    KeyFile(keys.path, "staging").add({"umbrella-1": "same"})

    with pytest.raises(OpsError, match="umbrella-1 of staging and acme-1 of trial") as raised:
        customers.issue(file, keys, {})

    assert raised.value.exit_code is ExitCode.USAGE
    assert "globex-3" not in keys.values()


def test_terraform_does_not_get_one_value_for_two_keys(file):
    with pytest.raises(OpsError, match="acme-1 of trial and globex-3 of trial"):
        customers.values_for_terraform(file, {"acme-1": "same", "globex-3": "same"})


def test_terraform_gets_the_values_of_the_files_keys_and_no_others(file):
    values = {"acme-1": "a", "globex-3": "g", "globex-2": "old"}

    assert customers.values_for_terraform(file, values) == {"acme-1": "a", "globex-3": "g"}
    with pytest.raises(OpsError, match="no value is known on this machine for globex-3"):
        customers.values_for_terraform(file, {"acme-1": "a"})


def test_values_are_readable_by_this_user_only(keys):
    with keys.locked():
        keys.create(["acme-1"])

    assert keys.path.stat().st_mode & 0o077 == 0
    assert keys.path.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o666])
def test_a_file_of_values_that_others_may_use_is_refused_with_the_fix(keys, mode):
    keys.add({"acme-1": "a"})
    keys.path.chmod(mode)

    for use in (keys.values, lambda: keys.add({"acme-2": "b"})):
        with pytest.raises(OpsError, match=f"its mode is {mode:04o}") as raised:
            use()
        assert raised.value.exit_code is ExitCode.USAGE
        assert f"chmod 600 {keys.path}" in raised.value.next_step

    keys.path.chmod(0o600)
    assert keys.values() == {"acme-1": "a"}
    keys.path.chmod(0o400)
    assert keys.values() == {"acme-1": "a"}


def test_a_symbolic_link_to_the_values_remains_one(keys, tmp_path):
    # GIVEN a file of values that is a link to one in another folder
    target = tmp_path / "vault" / "values.json"
    KeyFile(target, "trial").add({"acme-1": "a"})
    keys.path.parent.mkdir()
    keys.path.symlink_to(target)

    # WHEN a value is added
    keys.add({"acme-2": "b"})

    # THEN the link is one, and both names have the values
    assert keys.path.is_symlink()
    assert KeyFile(target, "trial").values() == keys.values() == {"acme-1": "a", "acme-2": "b"}
    assert target.stat().st_mode & 0o077 == 0


def test_a_loop_of_symbolic_links_is_reported(keys):
    keys.path.parent.mkdir()
    keys.path.symlink_to(keys.path)

    with pytest.raises(OpsError, match="cannot be used"):
        keys.add({"acme-1": "a"})


def test_values_are_on_the_disk_before_they_are_named(keys, monkeypatch):
    """A new key's value is printed once: neither file nor name may be lost with the power."""
    done = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(number):
        done.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file")
        fsync(number)

    def note_replace(self, target):
        done.append("replace")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)

    keys.add({"acme-1": "a"})

    assert done == ["file", "replace", "folder"]


def test_a_write_that_fails_leaves_the_old_values_and_no_other_file(keys, monkeypatch):
    keys.add({"acme-1": "a"})

    def full(_number):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OpsError, match="No space left on device"):
            keys.add({"acme-2": "b"})

    assert keys.values() == {"acme-1": "a"}
    assert {each.name for each in keys.path.parent.iterdir()} == {
        keys.path.name, f".{keys.path.name}.lock",
    }  # fmt: skip


def test_values_of_other_environments_in_the_same_file_are_kept(keys):
    production = KeyFile(keys.path, "production")
    production.add({"acme-1": "p"})
    keys.add({"acme-1": "t"})

    assert production.values() == {"acme-1": "p"}
    assert keys.values() == {"acme-1": "t"}


@pytest.mark.parametrize("text", ["[]", '{"acme-1": "secret"}', '{"trial": {"a": 3}}', "acme"])
def test_malformed_values_are_rejected_without_being_shown(text):
    with pytest.raises(OpsError, match="does not contain values of API keys") as raised:
        given({VARIABLE: text}, "trial")

    assert text not in str(raised.value)


def test_values_of_one_environment_are_never_used_for_another(keys):
    exported = as_variable("trial", {"operator-1": "trials"})

    assert given(exported, "trial") == {"operator-1": "trials"}
    assert given(exported, "production") == {}
    keys.add({"operator-1": "trials"})
    assert KeyFile(keys.path, "production").values() == {}
    assert json.loads(keys.path.read_text()) == {"api_keys": {"trial": {"operator-1": "trials"}}}


def test_too_many_values_for_a_variable_are_rejected_with_an_alternative():
    with pytest.raises(OpsError, match="too long for one environment variable") as raised:
        as_variable("trial", {f"customer-{n}": "v" * 40 for n in range(3000)})

    assert "--var-file=" in str(raised.value)


def test_concurrent_commands_lose_nothing(file, keys):
    def add(number):
        return customers.issue(file, keys, {}, customer=f"c{number}", plan="standard")

    with ThreadPoolExecutor(6) as pool:
        created = {name: v for one in pool.map(add, range(6)) for name, v in one.items()}

    assert {c.name for c in file.customers} == {"acme", "globex", *(f"c{n}" for n in range(6))}
    assert keys.values() == created


def test_git_ignores_the_values():
    assert ".secrets/" in (REPOSITORY / ".gitignore").read_text().splitlines()


def test_the_api_is_called_as_the_first_customer_or_the_given_one():
    listed = [{"name": n, "plan": "p", "keys": [f"{n}-1", f"{n}-2"]} for n in ("acme", "globex")]
    values = {"acme-2": "A", "globex-1": "G"}
    given = {"outputs": {"customers": listed}, "key_values": values}

    assert environment(**given).api_key == "A"
    assert environment(**given, customer="globex").api_key == "G"
    # The older one of two may end while a release is under way.
    both = {"acme-1": "old", "acme-2": "A"}
    assert environment(**given | {"key_values": both}).api_key == "A"
    with pytest.raises(OpsError, match="has no customer umbrella"):
        environment(**given, customer="umbrella").api_key  # noqa: B018
    with pytest.raises(OpsError, match="acme-1 is not known on this machine"):
        environment(**given | {"key_values": {}}).api_key  # noqa: B018
    with pytest.raises(OpsError, match="has no customer at all"):
        environment(outputs={"customers": []}).api_key  # noqa: B018


class TestCommandLine:
    """The commands as they are typed."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path, monkeypatch):
        (tmp_path / "local.toml").write_text(TEXT)
        monkeypatch.setenv("FAILOVER_ENVIRONMENTS", str(tmp_path))
        self.path = tmp_path / "local.toml"
        self.folder = tmp_path / "sandbox"
        write(
            descriptor_file(self.folder, "local"),
            Descriptor(
                outputs(environment="local", api_key_ids={}),
                Network((), "example.com"),
                endpoint_url="http://127.0.0.1:1",
                sandbox=replace(sandbox_access(), api_keys_file=self.folder / "keys.json"),
            ),
        )
        self.gateway = in_gateway()
        self.dynamodb = Canned(update_item=EndpointConnectionError(endpoint_url="nowhere"))
        sts = Canned(get_caller_identity={"Account": "123456789012", "Arn": "arn:eve"})
        monkeypatch.setattr(
            Environment,
            "client",
            lambda _, service, region: {
                "apigateway": self.gateway,
                "dynamodb": self.dynamodb,
                "sts": sts,
            }[service],
        )
        monkeypatch.setattr(deployed_keys, "on_aws", lambda region: self.gateway)

    def run(self, *arguments):
        from ops.__main__ import main

        which = () if "--environment" in arguments else ("--environment", "local")
        return main(["customers", *arguments, *which, "--folder", str(self.folder)])

    def test_only_values_go_to_standard_output(self, capsys):
        assert self.run("issue") == ExitCode.PASSED

        printed = capsys.readouterr()
        assert [line.split()[0] for line in printed.out.splitlines()] == ["acme-1", "globex-3"]
        assert "python -m sandbox up" in printed.err
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

    def test_both_steps_of_a_rotation_print_the_next_step(self, capsys):
        self.run("issue")
        assert self.run("rotate", "acme") == ExitCode.PASSED
        assert "python -m ops customers rotate acme --finish" in capsys.readouterr().err

        assert self.run("rotate", "acme", "--finish") == ExitCode.PASSED
        assert "revokes acme-1 in every Region" in capsys.readouterr().err

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

    def test_a_plan_without_customer_and_an_unknown_environment_are_rejected(self, capsys):
        assert self.run("issue", "--plan", "standard") == ExitCode.USAGE
        assert self.run("list", "--environment", "nowhere") == ExitCode.USAGE
        assert "choose one of the environments: local" in capsys.readouterr().err

    def test_a_malformed_file_shows_no_traceback(self, capsys):
        self.path.write_text("[[customers\n")

        assert self.run("list") == ExitCode.USAGE
        assert f"{self.path} cannot be read: it is not a TOML file" in capsys.readouterr().err

    def test_the_values_of_a_sandbox_are_kept_with_it(self, tmp_path, capsys):
        assert self.run("issue", "acme", "--keys-file", str(tmp_path / "k")) == ExitCode.USAGE
        assert "leave out --keys-file" in capsys.readouterr().err

    def test_another_file_of_values_is_used_and_repeated(self, tmp_path, capsys):
        self.path.rename(tmp_path / "trial.toml")
        other = tmp_path / "elsewhere" / "keys.json"
        arguments = ("--environment", "trial", "--keys-file", str(other), "--without-state")
        assert self.run("issue", "acme", *arguments) == ExitCode.PASSED

        assert set(json.loads(Path(other).read_text())["api_keys"]["trial"]) == {"acme-1"}
        assert f"--keys-file {other}" in capsys.readouterr().err

    def test_no_value_is_created_while_the_deployment_cannot_be_read(self, tmp_path, capsys):
        self.path.rename(tmp_path / "trial.toml")
        missing = ("--environment", "trial", "--stack-folder", str(tmp_path / "none"))
        for command in (("issue",), ("rotate", "acme"), ("rotate", "acme", "--finish")):
            assert self.run(*command, *missing) == ExitCode.USAGE
            printed = capsys.readouterr()
            assert printed.out == ""
            assert "cannot determine which keys are deployed" in printed.err
            assert "--without-state" in printed.err
        assert self.run("list", *missing) == ExitCode.PASSED
        assert "unknown" in capsys.readouterr().out

    def test_a_key_of_two_machines_is_used_by_neither_command(self, capsys):
        # GIVEN a key that this machine has made, and another machine has made and deployed
        self.run("issue")
        self.run("rotate", "acme")
        capsys.readouterr()
        self.gateway = in_gateway(weather_local_acme_2=("k", "of-the-other-machine"))

        # WHEN a command would use it, THEN it is refused with the fix
        for command in (
            ("env",), ("issue", "initech", "--plan", "standard"), ("rotate", "globex"),
            ("rotate", "acme", "--finish"), ("rotate", "acme", "--at-once"),
        ):  # fmt: skip
            assert self.run(*command) == ExitCode.USAGE
            printed = capsys.readouterr()
            assert printed.out == ""
            assert "the value of acme-2 on this machine is not the deployed one" in printed.err
            assert "customers pull --environment local" in printed.err
            assert "of-the-other-machine" not in printed.err

        # AND the fix is one
        KeyFile(self.folder / "keys.json", "local").add({"acme-2": "of-the-other-machine"})
        assert self.run("env") == ExitCode.PASSED

    def test_a_key_that_only_api_gateway_knows_is_not_made_again(self, capsys):
        """GIVEN the state of another folder, THEN what is deployed counts all the same."""
        self.gateway = in_gateway(
            weather_local_acme_1=("k1", "a"), weather_local_acme_7=("k7", "b")
        )

        assert self.run("issue") == ExitCode.USAGE
        assert "acme-1 is deployed, and its value is not known" in capsys.readouterr().err
        assert self.run("rotate", "acme", "--at-once") == ExitCode.PASSED
        assert capsys.readouterr().out.startswith("acme-8 ")

    def test_values_that_cannot_be_compared_are_not_used(self, capsys):
        self.run("issue")
        capsys.readouterr()
        self.gateway = UNREACHABLE

        for command in (("env",), ("issue",), ("rotate", "acme")):
            assert self.run(*command) == ExitCode.PREREQUISITE
            printed = capsys.readouterr()
            assert printed.out == ""
            assert "no Region returns the deployed keys" in printed.err

    def test_without_state_is_refused_where_something_is_deployed(self, tmp_path, capsys):
        self.path.rename(tmp_path / "trial.toml")
        for command in (("issue",), ("rotate", "acme")):
            arguments = (*command, "--environment", "trial", "--without-state")

            # GIVEN a key in API Gateway
            self.gateway = in_gateway(weather_trial_acme_1=("k", "a"))
            assert self.run(*arguments) == ExitCode.USAGE
            assert f"API Gateway in {EAST} has acme-1" in capsys.readouterr().err

            # GIVEN a descriptor with one, whatever API Gateway says
            self.gateway = UNREACHABLE
            described = descriptor_file(self.folder, "trial")
            write(described, Descriptor.on_aws(outputs(environment="trial")))
            assert self.run(*arguments) == ExitCode.USAGE
            assert "its descriptor has operator-1" in capsys.readouterr().err
            described.unlink()

    def test_without_state_an_account_that_cannot_be_asked_is_named(self, tmp_path, capsys):
        self.path.rename(tmp_path / "trial.toml")
        self.gateway = UNREACHABLE
        keys_file = ("--keys-file", str(tmp_path / "keys"))

        where = ("--environment", "trial", "--without-state", *keys_file)
        assert self.run("issue", *where) == ExitCode.PASSED

        assert "Whether API Gateway has keys is unknown" in capsys.readouterr().err

    def test_an_empty_state_does_not_mean_that_nothing_is_deployed(
        self, tmp_path, monkeypatch, capsys
    ):
        self.path.rename(tmp_path / "trial.toml")
        monkeypatch.setattr(Terraform, "outputs", lambda _: {})
        stack = ("--environment", "trial", "--stack-folder", str(tmp_path))

        for command in (("issue",), ("rotate", "acme")):
            assert self.run(*command, *stack) == ExitCode.USAGE
            printed = capsys.readouterr()
            assert printed.out == ""
            assert "select the workspace that was deployed" in printed.err

    def test_keys_are_not_rotated_while_somebody_changes_the_environment(self, capsys):
        self.run("issue")
        capsys.readouterr()
        renewals = iter(range(100))

        def held(**_):
            raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")

        def item(**_):
            values = {"run": "drill-1", "kind": "drill", "user": "eve", "renewal": next(renewals)}
            return {"Item": {name: {"S": str(value)} for name, value in values.items()}}

        self.dynamodb = Canned(update_item=held, get_item=item)

        assert self.run("rotate", "acme") == ExitCode.PREREQUISITE

        printed = capsys.readouterr()
        assert printed.out == ""
        assert "is being changed: drill by eve" in printed.err

    def test_the_lock_is_given_back_after_a_rotation(self, capsys):
        self.run("issue")
        self.dynamodb = Canned(update_item={"Attributes": {}}, delete_item={})

        assert self.run("rotate", "acme") == ExitCode.PASSED

        changes = [name for name, _ in self.dynamodb.calls if name != "describe_table"]
        # The lock, and the claim of the new key.
        assert changes == ["update_item", "update_item", "delete_item"]
        assert "cannot be taken" not in capsys.readouterr().err

    def test_an_unusable_key_file_is_reported(self, tmp_path, capsys):
        self.path.rename(tmp_path / "trial.toml")
        (tmp_path / "folder").mkdir()
        for file in (tmp_path / "folder", tmp_path / "trial.toml" / "keys"):
            where = ("--environment", "trial", "--keys-file", str(file), "--without-state")
            assert self.run("issue", *where) == ExitCode.PREREQUISITE
            assert "cannot be used" in capsys.readouterr().err
