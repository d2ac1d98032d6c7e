"""`ops deploy` with the states of all stacks in a bucket: any machine, and a Region that is lost.

The environment of a sandbox with the layout `regional`, whose states were moved to its S3.
"""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from local_api import REGIONS
from lost_region import without
from repository_files import REPOSITORY, copy_program

from ops.descriptor import descriptor_file, write
from ops.fault_injection import Fault
from ops.lock_item import delete

pytestmark = [pytest.mark.e2e, pytest.mark.soak]

PRIMARY, SECONDARY = REGIONS
STACKS = ("local-data", "local-us-west-2", "local-us-east-1", "local-routing")
FUNCTION, OPERATIONS = "lambda_src/get_weather.py", "weather_api/operations.py"
BACKEND = {"type": "s3", "bucket": "states", "key": "api/local.tfstate", "region": "us-east-2"}
BOTH_NAMES = (
    "lambda_src/weather/http.py",
    "{name: unquote(value) for name, value in path.items()}",
    '{"location" if n == "place" else n: unquote(value) for n, value in path.items()}',
)
"""Functions understand the parameter `place` as they do `location`."""
PATIENCE_SECONDS = 600


class Checkout:
    """The repository, with changes of the tests, and the environment's file."""

    def __init__(self, folder):
        self.folder = folder
        copy_program(folder)
        self.environments = folder / "own"
        self.environments.mkdir()
        text = (REPOSITORY / "environments" / "local.toml").read_text()
        own, _, local = text.partition("[backend]\n")
        assert local == 'type = "local"\n'
        backend = "".join(f"{key} = {json.dumps(value)}\n" for key, value in BACKEND.items())
        (self.environments / "local.toml").write_text(
            f'layout = "regional"\n{own}[backend]\n{backend}'
        )

    def changes(self, name, old, new):
        file = self.folder / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def changes_a_function(self):
        with (self.folder / FUNCTION).open("a") as file:
            file.write("# another release\n")


class Machine:
    """A machine that deploys: a folder with a descriptor, where nothing is synthesized yet."""

    def __init__(self, folder, api, checkout):
        self.folder, self.api, self.checkout = folder, api, checkout
        self.reaches(api.local.sandbox.endpoint_url)

    def reaches(self, endpoint_url):
        """Calls AWS at another URL."""
        descriptor = self.api.local.environment.descriptor
        sandbox = replace(descriptor.sandbox, synthesized=self.folder / "terraform" / "cdktf.out")
        known = replace(descriptor, endpoint_url=endpoint_url, sandbox=sandbox)
        write(descriptor_file(self.folder, "local"), known)

    def starts(self, *words, **variables):
        return subprocess.Popen(
            [sys.executable, "-m", "ops", *words, "--environment", "local", "--json",
             "--folder", str(self.folder)],
            cwd=self.checkout.folder,
            env={**os.environ, "PYTHONPATH": str(self.checkout.folder),
                 "FAILOVER_ENVIRONMENTS": str(self.checkout.environments), **variables},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ends(self, process):
        """The exit code, and the JSON document."""
        with process:
            output, printed = process.communicate(timeout=PATIENCE_SECONDS)
        print(printed)
        return process.returncode, json.loads(output)

    def runs(self, *words, **variables):
        return self.ends(self.starts(*words, **variables))

    def awaits(self, process, stack, step):
        """Wait until the deployment has come so far."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.steps().get(stack) != step:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def steps(self):
        """How far the last deployment has come; nothing if there is none yet."""
        s3, key = self.api.client("s3", BACKEND["region"]), "api/local-releases/history.json"
        try:
            history = s3.get_object(Bucket=BACKEND["bucket"], Key=key)
        except s3.exceptions.NoSuchKey:
            return {}
        return json.loads(history["Body"].read())["deployments"][-1]["steps"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return Checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def machine(regional, checkout, tmp_path_factory):
    """The states of all stacks are in the bucket."""
    region = BACKEND["region"]
    s3 = regional.client("s3", region)
    s3.create_bucket(
        Bucket=BACKEND["bucket"], CreateBucketConfiguration={"LocationConstraint": region}
    )
    for stack in STACKS:
        state = regional.workspace.synthesized / f"terraform.{stack}.tfstate"
        key = f"api/{stack}.tfstate"
        s3.put_object(Bucket=BACKEND["bucket"], Key=key, Body=state.read_bytes())
    return Machine(tmp_path_factory.mktemp("machine"), regional, checkout)


@contextmanager
def customers(api):
    """Customers call each Region; yields what went wrong."""
    failed, ended = [], threading.Event()

    def call(region):
        while not ended.wait(0.5):
            response = api.by_name("GET", region, "/weather/amsterdam", {"x-api-key": key})
            if not response.ok:
                failed.append(f"{region}: {response.summary} {response.body[:200]}")

    key = api.local.api_key
    threads = [threading.Thread(target=call, args=(region,)) for region in REGIONS]
    for thread in threads:
        thread.start()
    try:
        yield failed
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def parameters(api, region):
    """Names of the parameters in the paths of a Region's API."""
    resources = api.client("apigateway", region).get_resources(
        restApiId=api.outputs.api_ids[region], limit=500
    )["items"]
    return {part[1:-1] for each in resources if (part := each.get("pathPart", ""))[:1] == "{"}


APPROVED = ("--auto-approve", "--bake-seconds", "0")


def test_states_of_several_stacks_are_deployed_from_a_bucket(machine, checkout):
    checkout.changes(*BOTH_NAMES)

    with customers(machine.api) as failed:
        code, document = machine.runs("deploy", *APPROVED)

    assert code == 0, document
    assert set(document["deployments"][-1]["steps"].values()) == {"passed"}
    assert failed == []
    # Nothing is kept on this machine.
    assert not (machine.folder / "releases" / "local" / "history.json").exists()


def test_a_parameter_of_a_path_is_renamed_by_one_release_even_if_it_is_killed(machine, checkout):
    checkout.changes(OPERATIONS, "{location}", "{place}")

    with customers(machine.api) as failed:
        process = machine.starts("deploy", *APPROVED)
        machine.awaits(process, f"local-{SECONDARY}", "applying")
        process.kill()
        process.communicate()
        # Its lock is free after half a minute.
        delete(machine.api.local.environment, condition="#kind = :kind", kind="deploy")
        code, document = machine.runs("deploy", "resume", "--auto-approve")

    assert code == 0, document
    assert failed == []
    for region in REGIONS:
        assert parameters(machine.api, region) == {"place", "observed_at", "region"}


def test_another_machine_knows_the_history_and_rolls_back(machine, checkout, tmp_path):
    other = Machine(tmp_path, machine.api, checkout)
    code, document = other.runs("deploy", "history")
    first, second = document["deployments"]
    assert (code, first["outcome"], second["outcome"]) == (0, "deployed", "deployed")

    with customers(machine.api) as failed:
        code, document = other.runs("rollback", *APPROVED)

    assert code == 0, document
    assert failed == []
    assert document["deployed"][f"local-{SECONDARY}"] == first["release"]
    for region in REGIONS:
        assert parameters(machine.api, region) == {"location", "observed_at", "region"}


QUICK = ("--auto-approve", "--bake-seconds", "0", "--share", "0")


@contextmanager
def losing(machine, region):
    """Yields what lets a Region die, and the services of it that were asked then.

    Neither AWS nor the API responds there any more.
    """
    faults = machine.api.local.environment.fault_injection
    normal, is_lost = machine.api.local.sandbox.endpoint_url, threading.Event()
    with without(region, normal, is_lost=is_lost.is_set) as (url, refused):
        machine.reaches(url)

        def dies():
            is_lost.set()
            faults.inject(Fault(region, "refuse"), id="lost")

        try:
            yield dies, refused
        finally:
            faults.clear("lost")
            machine.reaches(normal)


def newest(api, region):
    """The version that serves, and the newest one."""
    functions = api.client("lambda", region)
    (name,) = [
        each["FunctionName"]
        for each in functions.list_functions()["Functions"]
        if each["FunctionName"].endswith("get_weather")
    ]
    versions = functions.list_versions_by_function(FunctionName=name)["Versions"]
    alias = functions.get_alias(FunctionName=name, Name="live")
    return int(alias["FunctionVersion"]), max(int(v["Version"]) for v in versions[1:])


def test_the_secondary_is_released_while_the_primary_is_lost(machine, checkout):
    """And with it the control plane of IAM."""
    before = {region: newest(machine.api, region) for region in REGIONS}
    only = ("deploy", "--only", SECONDARY, *QUICK)

    with losing(machine, PRIMARY) as (dies, refused):
        dies()
        checkout.changes_a_function()
        code, document = machine.runs(*only, TF_CLI_ARGS_plan="-refresh=false")
        assert code == 0, document

    # THEN the secondary has the release, and the primary was not even asked
    assert refused == []
    version = before[SECONDARY][1] + 1
    assert newest(machine.api, SECONDARY) == (version, version)
    assert newest(machine.api, PRIMARY) == before[PRIMARY]


def test_the_primary_is_released_while_the_secondary_is_lost_and_with_it_the_lock(
    machine, checkout
):
    before = {region: newest(machine.api, region) for region in REGIONS}
    only = ("deploy", "--only", PRIMARY, *QUICK)

    with losing(machine, SECONDARY) as (dies, refused):
        # WHEN it dies while the primary is applied
        checkout.changes_a_function()
        process = machine.starts(*only)
        machine.awaits(process, f"local-{PRIMARY}", "applying")
        dies()
        # THEN the release ends before the lock does, and is finished without it
        code, document = machine.ends(process)
        assert (code, set(refused)) == (3, {"dynamodb"}), document
        assert "resume" in document["error"]["next_step"], document
        assert "--without-lock" in document["error"]["next_step"]
        code, document = machine.runs("deploy", "resume", "--auto-approve", "--without-lock")
        assert code == 0, document

        # WHEN it is dead before, THEN nothing begins by mistake
        checkout.changes_a_function()
        code, document = machine.runs(*only)
        assert (code, "--without-lock --only" in document["error"]["next_step"]) == (3, True)
        code, document = machine.runs(*only, "--without-lock")
        assert code == 0, document

    # It was asked for the lock, and whose credentials these are, and nothing else
    assert set(refused) == {"dynamodb", "sts"}
    version = before[PRIMARY][1] + 2
    assert newest(machine.api, PRIMARY) == (version, version)
    assert newest(machine.api, SECONDARY) == before[SECONDARY]
