"""`ops deploy` on a sandbox with the layout `regional`: releases that are good, bad, and killed.

The functions are those of a copy of the repository, which the tests change.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager

import pytest
from local_api import REGIONS
from repository_files import REPOSITORY

from ops import switch
from ops.environment import Environment
from ops.folders import releases_folder

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive]

SECONDARY = REGIONS[1]
PACKAGES = (
    *("cdktf_bindings", "constructs_lib", "environments", "lambda_src", "ops", "sandbox"),
    "weather_api",
)
FUNCTION, API = "lambda_src/get_weather.py", "constructs_lib/api/regional_api.py"
BAD = {
    "raises": (FUNCTION, "    location_id = ", "    raise RuntimeError\n    location_id = "),
    "answers wrongly": (FUNCTION, "observation.as_document()", '{"temperature_celsius": -1}'),
    "is slow": (
        FUNCTION,
        "    location_id = ",
        "    __import__('time').sleep(6)\n    location_id = ",
    ),
    "may not be called": (API, "{operation.method}{operation.path_pattern}", "GET/elsewhere"),
}
FOUND = {
    "raises": "GET /weather/drill-",
    "answers wrongly": "GET /weather/drill-",
    # Or it responds too late.
    "is slow": f"{SECONDARY} is slow: |GET /weather/drill-",
    "may not be called": f"region.url of {SECONDARY}: ",
}
PATIENCE_SECONDS = 600


class Operator:
    """Who deploys from a checkout, while a customer calls.

    Attributes:
        failed: What went wrong with the customer's requests.
        calls: How many there were.
        regions: How many each Region served.
        printed: What the last command printed for people.
    """

    def __init__(self, folder, api):
        self.folder, self.api = folder, api
        for package in PACKAGES:
            shutil.copytree(REPOSITORY / package, folder / package)
        for file in ("main.py", "cdktf.json"):
            shutil.copy(REPOSITORY / file, folder)
        self.function = folder / FUNCTION
        self.good = self.function.read_text()
        self.history_file = releases_folder(api.workspace.folder, "local") / "history.json"
        self.failed, self.calls, self.regions, self.printed = [], 0, Counter(), ""

    def releases(self, text):
        self.function.write_text(text)

    @contextmanager
    def spoils(self, name, old, new):
        file = self.folder / name
        good = file.read_text()
        assert old in good
        file.write_text(good.replace(old, new))
        try:
            yield
        finally:
            file.write_text(good)

    def aliases(self, region):
        """`{function: (version that its alias points to, newest version, weights)}`."""
        client, found = self.api.client("lambda", region), {}
        for function in client.list_functions()["Functions"]:
            name = function["FunctionName"]
            alias = client.get_alias(FunctionName=name, Name="live")
            versions = client.list_versions_by_function(FunctionName=name)["Versions"]
            newest = max(int(v["Version"]) for v in versions if v["Version"] != "$LATEST")
            weights = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
            found[name] = (alias["FunctionVersion"], str(newest), weights)
        return found

    def starts(self, *words):
        folder = ("--folder", str(self.api.workspace.folder))
        return subprocess.Popen(
            [sys.executable, "-m", "ops", *words, "--environment", "local", *folder, "--json"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder), **self.api.variables},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def runs(self, *words):
        """The exit code, and the JSON document; a customer calls meanwhile."""
        ended = threading.Event()
        customer = threading.Thread(target=self._calls, args=(ended,))
        customer.start()
        try:
            with self.starts(*words) as process:
                output, errors = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            ended.set()
            customer.join()
        self.printed = errors
        print(errors)
        return process.returncode, json.loads(output)

    def deploys(self, *words):
        return self.runs("deploy", "--auto-approve", "--bake-seconds", "6", *words)

    def _calls(self, ended):
        environment: Environment = self.api.local.environment
        url = f"{environment.outputs.api_url}/weather/amsterdam"
        while not ended.wait(0.5):
            response = environment.network.request(
                "GET", url, headers={"x-api-key": environment.api_key}, timeout_seconds=30
            )
            self.calls += 1
            self.regions[response.region] += 1
            if not response.ok:
                self.failed.append(f"{response.summary} {response.body[:200]}")

    def steps(self):
        document = json.loads(self.history_file.read_text())
        return document["deployments"][-1]["steps"]


@pytest.fixture(scope="module")
def operator(regional, tmp_path_factory):
    found = Operator(tmp_path_factory.mktemp("checkout"), regional)
    code, document = found.deploys()
    assert code == 0, document
    return found


def test_a_good_release_reaches_every_region_and_no_request_fails(operator):
    operator.failed.clear()
    operator.good += "# another release\n"
    operator.releases(operator.good)

    code, document = operator.deploys()

    assert code == 0, document
    record = document["deployments"][-1]
    assert set(record["steps"].values()) == {"passed"}
    # A share of the requests first, then all.
    gates = [gate["stack"] for gate in record["gates"]]
    assert gates == [f"local-{region}" for region in REGIONS[::-1] for _ in range(2)]
    for region in REGIONS:
        found = operator.aliases(region).values()
        assert all((version, weights) == (newest, {}) for version, newest, weights in found)
        assert any(version != "1" for version, _, _ in found)
    assert set(document["deployed"].values()) == {record["release"]}
    assert operator.calls > 5
    assert operator.failed == []


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_release_is_rolled_back_in_the_secondary_and_no_request_fails(operator, fault):
    operator.failed.clear()
    before = json.loads(operator.history_file.read_text())["deployed"]
    primary = operator.aliases(REGIONS[0])
    operator.releases(operator.good)

    with operator.spoils(*BAD[fault]):
        code, document = operator.deploys()

    assert code == 1, document
    record = document["deployments"][-1]
    assert record["outcome"] == "rolled back"
    assert record["steps"]["local-us-west-2"] == "rolled back"
    assert "local-us-east-1" not in record["steps"]
    assert re.search(FOUND[fault], record["reason"])
    assert record["gates"][-1]["passed"], record["gates"]
    assert document["deployed"]["local-us-west-2"] == before["local-us-west-2"]
    assert operator.failed == []
    found = operator.aliases(SECONDARY).values()
    assert all((version, weights) == (newest, {}) for version, newest, weights in found)
    assert operator.aliases(REGIONS[0]) == primary


def test_the_secondary_serves_all_customers_for_a_while_and_no_request_fails(operator):
    operator.failed.clear()
    operator.regions.clear()
    operator.good += "# with customers\n"
    operator.releases(operator.good)

    code, document = operator.deploys("--bake-with-customers")

    assert code == 0, document
    gates = [gate["stack"] for gate in document["deployments"][-1]["gates"]]
    assert gates.count(f"local-{SECONDARY}") == 3
    assert operator.failed == []
    assert operator.regions[SECONDARY] > 3
    assert not switch.status(operator.api.local.environment).engaged


def test_an_operation_that_is_removed_is_gone_and_the_api_is_deployed_once_more(operator):
    operator.failed.clear()
    path = "/openapi.json"
    assert [operator.api.get(region, path).status for region in REGIONS] == [200, 200]

    with operator.spoils(
        "weather_api/stack.py",
        "        operations=OPERATIONS,",
        '        operations=tuple(o for o in OPERATIONS if o.name != "get_openapi"),',
    ):
        code, document = operator.deploys("--share", "0")

    assert code == 0, document
    assert [operator.api.get(region, path).status for region in REGIONS] == [403, 403]
    # Without it, AWS responds with 500, where this sandbox has no snapshot of the method.
    again = re.findall(r"Deploying the API of (\S+) again", operator.printed)
    assert again == [f"local-{region}" for region in REGIONS[::-1]]
    assert document["deployments"][-1]["outdated"] == {}
    assert operator.failed == []


def test_a_release_that_is_killed_is_finished_by_resume_and_undone_by_rollback(operator):
    operator.good += "# one more\n"
    operator.releases(operator.good)
    before = json.loads(operator.history_file.read_text())["deployed"]
    process = operator.starts("deploy", "--auto-approve", "--bake-seconds", "6")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while operator.steps().get("local-us-west-2") != "applying":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.kill()
    process.communicate()

    code, document = operator.deploys()
    assert (code, "was interrupted" in document["error"]["message"]) == (1, True)

    code, document = operator.runs("deploy", "resume", "--auto-approve")
    assert code == 0, document
    assert set(document["deployments"][-1]["steps"].values()) == {"passed"}

    code, document = operator.runs("rollback", "--auto-approve", "--bake-seconds", "0")
    assert code == 0, document
    assert document["deployed"]["local-us-west-2"] == before["local-us-west-2"]
    assert operator.runs("deploy", "--plan-only")[1]["stacks"][1]["changes"]
