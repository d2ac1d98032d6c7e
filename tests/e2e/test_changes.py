"""Every setting, changed in a running environment, with a customer who calls it all the while.

One sandbox, one change after the other: `tests/changes.py` has them. What comes of each is compared
with docs/reference/changes.json; with `FAILOVER_WRITE_DOCS=1` that file and its page are written
anew. All of it takes twenty minutes.
"""

import json
import os
import re
import time
from collections import Counter
from dataclasses import replace
from itertools import cycle
from threading import Event, Thread

import pytest
from cdktf import App
from changes import BACKEND, CHANGES, LAYOUT, edited, first_file, text_of
from local_api import REGIONS, Api, run_ops
from test_runbooks import blocks_of

import weather_api.stack
from constructs_lib.settings import SettingsError, load
from ops.environment_file import FOLDER_VARIABLE
from ops.records import IMPORT_FILE
from sandbox.workspace import Workspace
from scripts import changes as table
from scripts.changes import APPLIED, NEEDS_STEPS, REFUSED_BY_PLAN, REFUSED_BY_SETTINGS, Result
from weather_api.operations import OPERATIONS

pytestmark = [pytest.mark.e2e, pytest.mark.soak]

WRITES_DOCS = os.environ.get("FAILOVER_WRITE_DOCS") == "1"
SPEED = 5
"""So slow that checkers do not give up while Terraform uses this machine's cores."""
QUIETLY = ("-input=false", "-refresh=false", "-parallelism=2", "-json")
"""The emulator is one process: functions wait for the table behind all that Terraform asks of it.
`GET /health` gives up after 0.7 s, with 503, so enough of that is a failover; on AWS, Terraform and
functions do not share a machine. No customer calls it, so it is left to the checkers."""
PAUSE_SECONDS = 0.1
SETTLING_SECONDS = {"aws_route53_": 20.0, "aws_lambda_": 6.0, "": 1.0}
"""After an apply: what a health check needs to change its state, by what has changed."""
MEANWHILE = ("create", "update", "replace", "delete")


class Customer:
    """Somebody who calls the API by its name, and notes what responds."""

    def __init__(self, api):
        self._api, self._over = api, Event()
        self._thread = Thread(target=self._call)
        self.seen = Counter()

    def _call(self):
        url, headers = self._api.outputs.api_url, {"x-api-key": self._api.local.api_key}
        for path in cycle(("/locations", "/weather/amsterdam")):
            if self._over.is_set():
                return
            response = self._api.local.network.request(
                "GET", url + path, headers=headers, timeout_seconds=10
            )
            self.seen[path, response.status, response.region] += 1
            time.sleep(PAUSE_SECONDS)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    @property
    def lost(self):
        return sum(n for (_, status, _), n in self.seen.items() if status != 200)

    @property
    def elsewhere(self):
        return sum(n for (*_, region), n in self.seen.items() if region not in (None, REGIONS[0]))


class Running:
    """The sandbox, and the file that is deployed there."""

    def __init__(self, api, folder):
        self.api, self._folder = api, folder
        self.values, self.operations = first_file(), OPERATIONS
        self.results = {}
        self._write(self.values)

    def _write(self, values):
        (self._folder / "local.toml").write_text(text_of(values))

    def synthesize(self, values, operations):
        self._write(values)
        app = App(outdir=str(self.api.workspace.synthesized / "cdktf.out"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(weather_api.stack, "OPERATIONS", operations)
            weather_api.stack.build_stack(app, load(self._folder / "local.toml"))
        app.synth()

    def terraform(self, *arguments):
        """Messages of Terraform, and whether it succeeded."""
        done = self.api.terraform(*arguments)
        return [json.loads(line) for line in done.stdout.splitlines()], done.returncode == 0

    def apply(self, values, operations):
        """Apply, and wait until health checks had the time to notice: what was done."""
        self.synthesize(values, operations)
        arguments = QUIETLY
        if has_cname_records(values) != has_cname_records(self.values):
            self._exchange_records()
            # What is in the state is no longer there.
            arguments = (*QUIETLY, "-refresh=true", "-replace=terraform_data.deployed_settings")
        messages, succeeded = self.terraform("apply", "-auto-approve", *arguments)
        for file in self.api.workspace.synthesized.glob(f"**/{IMPORT_FILE}"):
            file.unlink()
        assert succeeded, errors_of(messages)
        self.values, self.operations = values, operations
        actions = actions_of(messages)
        kinds = [kind for types in actions.values() for kind in types]
        time.sleep(
            next(s for p, s in SETTLING_SECONDS.items() if not p or any(p in k for k in kinds))
        )
        return actions

    def _exchange_records(self):
        """The first step of docs/how-to/recovery-time.md."""
        done = run_ops("records", "--folder", str(self.api.workspace.folder))
        assert done.returncode == 0, done.stdout + done.stderr

    def make(self, change):
        """Make a change."""
        before = edited(self.values, change.before)
        if before != self.values:
            self.apply(before, OPERATIONS)
        after, operations = edited(self.values, change.after), change.operations(OPERATIONS)
        result = Result(
            setting=change.setting,
            change=change.change,
            outcome=change.outcome,
            steps=change.steps,
            note=change.note,
        )
        if change.outcome in (APPLIED, NEEDS_STEPS):
            with Customer(self.api) as customer:
                actions = self.apply(after, operations)
            print(dict(customer.seen))
            return replace(
                result,
                terraform=actions,
                requests=customer.seen.total(),
                lost=customer.lost,
                elsewhere=customer.elsewhere,
            )
        return replace(result, **self._refusal(after, operations))

    def _refusal(self, after, operations):
        """What refuses a change; the file is as deployed afterwards."""
        try:
            self.synthesize(after, operations)
        except SettingsError as error:
            first = error.violations[0]
            return {"outcome": REFUSED_BY_SETTINGS, "message": f"{first.key}: {first.problem}."}
        else:
            messages, succeeded = self.terraform("plan", "-input=false", "-json")
            assert not succeeded, actions_of(messages)
            # Nothing but the refusal: no error of what is looked for under another provider.
            (error,) = {*errors_of(messages)}
            return {"outcome": REFUSED_BY_PLAN, "message": re.split(r"(?<=\.) [A-Z]", error)[0]}
        finally:
            self.synthesize(self.values, self.operations)

    def write_results(self):
        """Write what was seen; what was not run this time remains as it was."""
        known = {(each.setting, each.change): each for each in table.read()}
        found = (self.results.get(c.id) or known.get((c.setting, c.change)) for c in ALL)
        table.write([each for each in found if each])


ALL = (LAYOUT, *CHANGES, *BACKEND)


def has_cname_records(values):
    return values["domain"].get("ttl_seconds", 60) < 60


def errors_of(messages):
    found = (message.get("diagnostic", {}) for message in messages)
    return [
        each["detail"] if "precondition" in each["summary"] else each["summary"]
        for each in found
        if each.get("severity") == "error"
    ]


def actions_of(messages):
    """`{action: {type of resource: how many}}` of a plan."""
    counted = Counter(
        (message["change"]["action"], message["change"]["resource"]["resource_type"])
        for message in messages
        if message["type"] == "planned_change"
    )
    return {
        action: {kind: n for (done, kind), n in sorted(counted.items()) if done == action}
        for action in MEANWHILE
        if any(done == action for done, _ in counted)
    }


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A sandbox whose environment file and operations can be changed."""
    folder = tmp_path_factory.mktemp("environments")
    api = Api(Workspace(tmp_path_factory.mktemp("sandbox")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(folder))
        running = Running(api, folder)
        try:
            api.up("--speed", str(SPEED))
            yield running
        finally:
            api.down()
            if WRITES_DOCS:
                running.write_results()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.id)
def test_a_change_does_what_the_table_says(running, change):
    result = running.results[change.id] = running.make(change)

    assert result.outcome == change.outcome
    assert result.elsewhere == 0
    assert change.loses or result.lost == 0
    if not WRITES_DOCS:
        (known,) = [
            each
            for each in table.read()
            if (each.setting, each.change) == (change.setting, change.change)
        ]
        as_known = {name: getattr(known, name) for name in ("requests", "lost", "elsewhere")}
        assert replace(result, **as_known) == known


def test_a_plan_that_reads_everything_finds_nothing_to_change(running):
    running.apply(running.values, OPERATIONS)

    messages, succeeded = running.terraform("plan", "-input=false", "-json")

    assert succeeded, errors_of(messages)
    assert actions_of(messages) == {}


def test_the_state_moves_to_a_bucket_by_the_documented_steps(running, tmp_path):
    pull, initialize, push, plan = [
        # The one stack of the sandbox, where the page has a loop over several.
        re.sub(r" *terraform -chdir=\S+ ", "", line).split()
        for text in blocks_of("deploy-changes.md")
        if "before-$part.tfstate" in text
        for line in text.splitlines()
        if "terraform" in line
    ]
    region = "us-west-2"
    backend = {"type": "s3", "bucket": "states", "key": "weather/local.tfstate", "region": region}
    running.api.client("s3", region).create_bucket(
        Bucket="states", CreateBucketConfiguration={"LocationConstraint": region}
    )
    # GIVEN a state that was pulled, and a file with another backend
    pulled = tmp_path / "before.tfstate"
    pulled.write_text(running.api.terraform(*pull[:2]).stdout)
    running.synthesize(edited(running.values, {"backend": backend}), OPERATIONS)

    # WHEN Terraform opens the new backend and gets the state
    for command in (initialize, [*push[:2], str(pulled)]):
        done = running.api.terraform(*command)
        assert done.returncode == 0, done.stderr

    # THEN it knows all that is deployed
    done = running.api.terraform(*plan, "-detailed-exitcode")
    assert done.returncode == 0, done.stdout + done.stderr
    for change in (LAYOUT, *BACKEND):
        running.results[change.id] = Result(
            setting=change.setting,
            change=change.change,
            outcome=change.outcome,
            steps=change.steps,
            note=change.note,
        )
