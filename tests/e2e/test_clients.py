"""Clients that retry in the other Region, through the loss of the primary: none waits for DNS.

Those of examples/clients, and the customer of a drill who does as they do.
"""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from threading import Event
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.session import Session
from customer_clients import Outcome, PythonClient, TypeScriptClient, example
from local_api import REGIONS, Api, run_ops
from repository_files import REPOSITORY

from ops.drill.resolver import target_addresses
from ops.fault_injection import Fault
from sandbox.workspace import Workspace

pytestmark = [pytest.mark.e2e, pytest.mark.soak]

READ = "/locations?limit=1"
WRITE = "/weather/amsterdam/observations/"
INTERVAL_SECONDS = 0.8
"""Three callers stay below the five requests a second of the stage."""
STEADY_SECONDS = 4.0
LOST_SECONDS = 12.0
SPEED_OF_AWS = 1
"""Health checks and DNS need 85 s for a failover then: clients continue long before."""
SLACK_SECONDS = 8.0
"""What a busy machine may add; what is configured is asserted on loopback servers."""


@dataclass(frozen=True)
class Called:
    """One call: when it began and ended, and what it came to."""

    began: float
    ended: float
    outcome: Outcome


@pytest.fixture
def lost(hardened):
    """Loses the primary, for as long as the test runs."""
    with ExitStack() as stack:
        injected = hardened.local.environment.fault_injection.injected
        yield lambda: stack.enter_context(injected(Fault(REGIONS[0], "black_hole")))


@pytest.fixture
def sign(credentials, monkeypatch):
    """What signs for a publisher, as the how-to has it."""
    page = (REPOSITORY / "docs" / "how-to" / "retry-across-regions.md").read_text()
    [function] = re.findall(r"^```python\n(def sign.*?)\n\n\n", page, re.DOTALL | re.MULTILINE)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", credentials.secret_key)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    names = {each.__name__: each for each in (urlsplit, AWSRequest, SigV4Auth, Session)}
    exec(function, names)
    return names["sign"]


@pytest.fixture
def clients(hardened, sign):
    """Those of both languages with a customer's key, and a publisher of Python's."""
    environment = hardened.local.environment
    network, outputs = environment.network, environment.outputs
    key = {"x-api-key": environment.api_key}

    def locate(host):
        if host.endswith(outputs.record_name):
            return network.resolve(host).addresses[0], network.https_port
        return None

    [(address, port)] = network.dns_servers
    hosts = [urlsplit(url).hostname for url in (outputs.api_url, *outputs.region_urls.values())]
    names = {host: {"dns": f"{address}:{port}", "port": network.https_port} for host in hosts}
    python, publisher = (PythonClient(locate, network.ca_file) for _ in range(2))
    typescript = TypeScriptClient(names, network.ca_file)
    with python.running(), publisher.running(), typescript.running():
        for customer in (python, typescript):
            customer.discover(outputs.api_url, headers=key)
        publisher.create(
            None, outputs.region_urls, headers=sign, recovery_seconds=60,
            attempt_seconds=example().ATTEMPT_SECONDS,
        )  # fmt: skip
        yield {
            "Python": lambda _: python.call("GET", READ),
            "TypeScript": lambda _: typescript.call("GET", READ),
            "Python, publisher": lambda number: publisher.call("PUT", *observation(number)),
        }


def observation(number):
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    return f"{WRITE}{at:%Y-%m-%dT%H:%M:%SZ}", json.dumps({"temperature_celsius": number / 10})


def call_until(ended, call):
    """The calls of one client, one after the other."""
    calls = []
    while not ended.wait(INTERVAL_SECONDS):
        began = time.monotonic()
        outcome = call(len(calls))
        calls.append(Called(began, time.monotonic(), outcome))
    return calls


def test_both_clients_continue_when_the_primary_is_lost(hardened, clients, lost):
    environment = hardened.local.environment
    hardened.set_speed(SPEED_OF_AWS)
    # GIVEN functions that run already, as those of a Region do that others call
    path, body = observation(0)
    for region in REGIONS:
        hardened.by_name("GET", region, READ, {"x-api-key": environment.api_key})
        hardened.by_name(
            "PUT", region, path, body=json.loads(body), credentials=environment.credentials()
        )
    ended = Event()
    with ThreadPoolExecutor() as threads:
        running = {name: threads.submit(call_until, ended, call) for name, call in clients.items()}
        try:
            time.sleep(STEADY_SECONDS)
            # WHEN the primary does not respond any more
            lost()
            lost_at = time.monotonic()
            time.sleep(LOST_SECONDS)
            answer = environment.network.resolve(environment.outputs.record_name)
        finally:
            ended.set()
    calls = {name: each.result() for name, each in running.items()}

    # THEN DNS still resolves to it
    assert target_addresses(environment)[answer.addresses[0]] == REGIONS[0]
    for name, made in calls.items():
        before = [each.outcome.region for each in made if each.ended < lost_at]
        after = [each.outcome.region for each in made if each.began > lost_at]
        gap = max(later.ended - earlier.ended for earlier, later in pairwise(made))
        print(f"{name}: {len(made)} calls, longest time without a response {gap:.2f} s, of which "
              f"{INTERVAL_SECONDS} s between two calls")  # fmt: skip
        # AND every call is served, from then on by the other Region
        assert {each.outcome.status for each in made} <= {200, 201}, made
        assert before[-1] == REGIONS[0]
        assert {*after} == {REGIONS[1]}
        assert gap < INTERVAL_SECONDS + 2 + SLACK_SECONDS


@pytest.fixture
def named(tmp_path):
    """A sandbox of its own: the one for trials, whose Regions have their own names."""
    text = (REPOSITORY / "environments" / "local.toml").read_text()
    environments = tmp_path / "environments"
    environments.mkdir()
    (environments / "local.toml").write_text(
        text.replace("[domain]\n", "[domain]\nregional_names = true\n")
    )
    variables = {"FAILOVER_ENVIRONMENTS": str(environments)}
    api = Api(Workspace(tmp_path / "sandbox"), variables=variables)
    try:
        api.up()
        yield api
    finally:
        api.down()


def test_a_drill_measures_a_customer_who_retries(named):
    done = run_ops(
        "drill", "--folder", str(named.workspace.folder), "--fault", "black-hole", "--json"
    )

    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    found, rto = report["retrying_client"], report["measurements"]["rto"]
    print(f"retrying: {found}; RTO by DNS: {rto['aws_seconds']} s on AWS")
    assert found["state"] == "measured"
    assert found["failed_attempts"] >= 1
    assert found["seconds"] < 2 + SLACK_SECONDS < rto["aws_seconds"]
