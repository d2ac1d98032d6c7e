"""`ops deploy` on a sandbox with the layout `regional`: releases that are good, bad, and killed.

The functions are those of a copy of the repository, which the tests change. A customer and a
publisher call the API all the time. With `FAILOVER_WRITE_DOCS=1` docs/reference/releases.md is
written anew.
"""

import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from callers import Callers
from local_api import REGIONS
from releases import BAD, GOOD, found_by
from repository_files import copy_program

from ops import lock as locks
from ops import switch
from ops.deploy.record import History, Moment, Outcome
from ops.deploy.shelf import FolderShelf
from ops.folders import releases_folder
from scripts import releases as table
from scripts.releases import Result, Results

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive]

WRITES_DOCS = os.environ.get("FAILOVER_WRITE_DOCS") == "1"
BAD_RELEASES = [
    pytest.param(name, marks=pytest.mark.soak if name != "raises" else ()) for name in BAD
]
KILLED = [pytest.param(seed, marks=() if seed == 1 else pytest.mark.soak) for seed in range(10)]
"""Seeds of when a release is killed; then `resume` is called, or with an odd one `rollback`."""
PRIMARY, SECONDARY = REGIONS
STACKS = {region: f"local-{region}" for region in REGIONS}
FUNCTION = "lambda_src/get_weather.py"
BAKE_SECONDS = 6
SHARE = 0.1
STEP = re.compile("Synthesizing|Initializing|Planning|Measuring|Applying|Checking")
"""How the lines begin that a good release prints before each step."""
PATIENCE_SECONDS = 600


@dataclass
class Deployment:
    """A command of `ops` that runs.

    Attributes:
        process: Its process.
        lines: `(when, what)` it printed for people.
    """

    process: subprocess.Popen
    lines: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self):
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            print(line, end="")
            self.lines.append((time.monotonic(), line.rstrip()))

    @property
    def steps(self):
        """`(line, seconds until the next one)` of each step."""
        begun = [(at, line) for at, line in self.lines if STEP.match(line)]
        ends = [at for at, _ in [*begun[1:], self.lines[-1]]]
        return [(line, end - at) for (at, line), end in zip(begun, ends, strict=True)]

    @property
    def printed(self):
        return "\n".join(line for _, line in self.lines)

    def kill_after(self, number, seconds):
        """Kill it so long after so many steps have begun, if it runs that long."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while sum(bool(STEP.match(line)) for _, line in self.lines) < number:
            assert time.monotonic() < deadline
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        time.sleep(seconds)
        self.process.kill()

    def ended(self):
        """The exit code, and what it printed for programs."""
        with self.process:
            output = self.process.stdout.read()
            self.process.wait(PATIENCE_SECONDS)
            self._reader.join()
        return self.process.returncode, json.loads(output or "null")


class Operator:
    """Who deploys from a checkout.

    Attributes:
        last: The last command.
        callers: Who call meanwhile.
        good: The function as it is in the last good release.
        results: `{release: what came of it}`.
    """

    def __init__(self, folder, api):
        self.folder, self.api = folder, api
        copy_program(folder)
        self.function = folder / FUNCTION
        self.good = self.function.read_text()
        self.shelf = FolderShelf(releases_folder(api.workspace.folder, "local"))
        self.environment = api.local.environment
        self.callers = Callers(self.environment)
        self.results = {}
        self.last = None

    def releases(self, comment):
        """Change the function, so that there is something to deploy."""
        self.good += f"# {comment}\n"
        self.function.write_text(self.good)

    @contextmanager
    def spoils(self, name, old, new):
        file = self.folder / name
        good = file.read_text()
        assert good.count(old) == 1
        file.write_text(good.replace(old, new))
        try:
            yield
        finally:
            file.write_text(good)

    @property
    def history(self):
        return History.read(self.shelf)

    def aliases(self, region):
        """`{function: (version that its alias points to, its code, newest version, weights)}`."""
        client, found = self.api.client("lambda", region), {}
        for function in client.list_functions()["Functions"]:
            name = function["FunctionName"]
            alias = client.get_alias(FunctionName=name, Name="live")
            pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=name)
            versions = {v["Version"]: v["CodeSha256"] for page in pages for v in page["Versions"]}
            newest = max((v for v in versions if v.isdigit()), key=int)
            weights = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
            version = alias["FunctionVersion"]
            found[name] = (version, versions[version], newest, weights)
        return found

    def code(self, region):
        """`{function: digest of the code that serves}`; only the newest version serves."""
        found = self.aliases(region)
        for version, _, newest, weights in found.values():
            assert (version, weights) == (newest, {})
        return {name: code for name, (_, code, *_) in found.items()}

    def starts(self, *words):
        folder = ("--folder", str(self.api.workspace.folder))
        self.last = Deployment(
            subprocess.Popen(
                [sys.executable, "-m", "ops", *words, "--environment", "local", *folder, "--json"],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(self.folder), **self.api.variables},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
        return self.last

    def runs(self, *words):
        """The exit code, and the JSON document."""
        return self.starts(*words).ended()

    def starts_deploying(self, *words):
        baking = ("--bake-seconds", str(BAKE_SECONDS))
        return self.starts("deploy", "--auto-approve", *baking, *words)

    def deploys(self, *words):
        return self.starts_deploying(*words).ended()

    def failed_checks(self):
        """Checks of `verify` that fail, again and again, with their subjects."""
        for _ in range(3):
            # A busy machine may make one fail that waits for a response.
            code, document = self.runs("verify")
            if code == 0:
                return set()
        return {
            (f["check"], f["subject"]) for f in document["findings"] if f["outcome"] == "failed"
        }

    def notes(self, release, seen, fault=""):
        """Note what the table says of the last deployment."""
        record = self.history.last
        former = record.seconds_between(Moment.FOUND, Moment.FORMER_VERSIONS)
        failed = seen.failed
        self.results[release] = Result(
            release=release,
            fault=fault,
            found_by=found_by(record.reason) if record.reason else "",
            found_after_seconds=record.found_after_seconds,
            former_versions_after_seconds=former,
            rolled_back_after_seconds=record.rolled_back_after_seconds,
            reads=len(seen.of("read")),
            writes=len(seen.of("write")),
            failed_reads=sum(each.kind == "read" for each in failed),
            failed_writes=sum(each.kind == "write" for each in failed),
            failed_seconds=failed[-1].answered_at - failed[0].sent_at if failed else 0.0,
            reached=[region for region, stack in STACKS.items() if stack in record.steps][::-1],
        )

    def write_results(self):
        """Write what was seen; what was not run this time remains as it was."""
        known = {each.release: each for each in table.read().releases}
        found = (self.results.get(name) or known.get(name) for name in (GOOD, *BAD))
        releases = [each for each in found if each]
        table.write(Results(bake_seconds=BAKE_SECONDS, share=SHARE, releases=releases))


@pytest.fixture(scope="module")
def operator(regional, tmp_path_factory):
    found = Operator(tmp_path_factory.mktemp("checkout"), regional)
    code, document = found.deploys("--bake-seconds", "0")
    assert code == 0, document
    yield found
    if WRITES_DOCS:
        found.write_results()


@pytest.fixture(scope="module")
def good(operator):
    """The steps of a good release, and how long each took."""
    operator.releases("good")
    with operator.callers.call() as seen:
        code, document = operator.deploys("--bake-with-customers")
    assert code == 0, document
    return operator.last.steps, seen


def test_a_good_release_reaches_every_region_and_no_request_fails(operator, good):
    _, seen = good
    record = operator.history.last
    assert set(record.steps.values()) == {"passed"}
    # A share of the requests first, then all, and in the secondary all customers.
    gates = [gate["stack"] for gate in record.gates]
    assert gates == [STACKS[SECONDARY]] * 3 + [STACKS[PRIMARY]] * 2
    for region in REGIONS:
        assert operator.code(region)
        assert any(version != "1" for version, *_ in operator.aliases(region).values())
    assert set(operator.history.deployed.values()) == {record.release}
    assert (seen.failed, seen.missing) == ([], [])
    for kind in ("read", "write"):
        assert {each.region for each in seen.of(kind)} == set(REGIONS)
    assert not switch.status(operator.environment, operator.environment.primary).evacuated
    operator.notes(GOOD, seen)


def of_regions(history):
    """The release that each Region has; stacks in which nothing changes pass with each."""
    return {region: history.deployed[stack] for region, stack in STACKS.items()}


@pytest.mark.parametrize("release", BAD_RELEASES)
def test_a_bad_release_is_rolled_back_in_the_secondary(operator, release):
    bad = BAD[release]
    before, primary = of_regions(operator.history), operator.aliases(PRIMARY)
    secondary = operator.code(SECONDARY)

    with operator.spoils(bad.file, bad.old, bad.new), operator.callers.call() as seen:
        code, document = operator.deploys("--bake-with-customers")

    assert code == 1, document
    record = operator.history.last
    assert record.outcome is Outcome.ROLLED_BACK
    assert record.steps[STACKS[SECONDARY]] == "rolled back"
    assert STACKS[PRIMARY] not in record.steps
    assert re.search(bad.found, record.reason)
    assert record.gates[-1]["passed"], record.gates
    assert of_regions(operator.history) == before
    assert operator.code(SECONDARY) == secondary
    assert operator.aliases(PRIMARY) == primary
    assert seen.missing == []
    assert not switch.status(operator.environment, operator.environment.primary).evacuated
    times = record.times[STACKS[SECONDARY]]
    assert Moment.CUSTOMERS_MOVED not in times
    assert seen.failed == []
    operator.notes(release, seen, bad.fault)


@pytest.mark.parametrize("seed", KILLED)
def test_a_release_that_is_killed_is_finished_by_resume_or_undone_by_rollback(operator, good, seed):
    chance = random.Random(seed)
    # Until all is planned nothing changes: tests/ops/test_deploy_waves.py kills it there, too.
    steps = [*enumerate(good[0], 1)]
    begun = next(number for number, (line, _) in steps if line.startswith("Measuring"))
    number, (line, seconds) = chance.choice(steps[begun - 1 :])
    seconds = chance.uniform(0, seconds)
    command = ("deploy", "resume") if seed % 2 == 0 else ("rollback", "--bake-seconds", "0")
    print(f"killed {seconds:.1f} s after: {line}")
    before, code_before = operator.history, operator.code(PRIMARY)
    assert operator.code(SECONDARY) == code_before
    operator.releases(f"killed {seed}")

    with operator.callers.call() as seen:
        killed = operator.starts_deploying("--bake-with-customers")
        killed.kill_after(number, seconds)
        killed.ended()
        history = operator.history
        record = history.last if len(history.records) > len(before.records) else None
        print(f"it came to: {record.steps if record else 'nothing'}")
        # Nothing is to be undone of what has not begun, and nothing to be finished of what has.
        if unfinished := history.unfinished:
            code, document = operator.deploys()
            assert (code, "was interrupted" in document["error"]["message"]) == (1, True)
            code, document = operator.runs(*command, "--auto-approve")
            assert code == 0, document

    assert (seen.failed, seen.missing) == ([], [])
    history = operator.history
    assert history.unfinished is None
    is_new = bool(record) and not (unfinished and command[0] == "rollback")
    if is_new:
        assert set(history.deployed.values()) == {record.release}
    else:
        assert of_regions(history) == of_regions(before)
    codes = [operator.code(region) for region in REGIONS]
    assert codes[0] == codes[1]
    assert (codes[0] == code_before) is not is_new
    if not unfinished:
        # Its lock is free when nobody has renewed it for a while.
        with locks.hold(operator.environment, kind="restore"):
            pass
    assert locks.read(operator.environment) == locks.LockState()
    assert not switch.status(operator.environment, operator.environment.primary).evacuated
    assert [operator.api.get(r, "/weather/amsterdam").status for r in REGIONS] == [200, 200]
    assert operator.failed_checks() == set()


@pytest.mark.soak
def test_an_operation_that_is_removed_is_gone_and_the_api_is_deployed_once_more(operator):
    path = "/openapi.json"
    assert [operator.api.get(region, path).status for region in REGIONS] == [200, 200]

    with (
        operator.spoils(
            "weather_api/stack.py",
            "        operations=OPERATIONS,",
            '        operations=tuple(o for o in OPERATIONS if o.name != "get_openapi"),',
        ),
        operator.callers.call() as seen,
    ):
        code, document = operator.deploys("--share", "0")

    assert code == 0, document
    assert [operator.api.get(region, path).status for region in REGIONS] == [403, 403]
    # Without it, AWS responds with 500, where this sandbox has no snapshot of the method.
    again = re.findall(r"Deploying the API of (\S+) again", operator.last.printed)
    assert again == [STACKS[SECONDARY], STACKS[PRIMARY]]
    assert document["deployments"][-1]["outdated"] == {}
    assert (seen.failed, seen.missing) == ([], [])
