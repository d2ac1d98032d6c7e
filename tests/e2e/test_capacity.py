"""A secondary whose quota is too small refuses what comes to it, and `verify` says so before."""

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from local_api import REGIONS
from repository_files import REPOSITORY

from ops.verify import capacity, quotas
from ops.verify.finding import Outcome

pytestmark = pytest.mark.e2e

PRIMARY, SECONDARY = REGIONS
CALLERS = 12


def statuses(api, region):
    """Status of each of many requests at once."""
    with ThreadPoolExecutor(CALLERS) as pool:
        return [
            response.status
            for response in pool.map(lambda _: api.get(region, "/locations"), range(3 * CALLERS))
        ]


def test_a_secondary_with_too_small_a_quota_throttles_what_is_above_it(api):
    # GIVEN a secondary that serves all of them
    assert set(statuses(api, SECONDARY)) == {200}

    # WHEN its account may run two invocations at once
    with api.quota(SECONDARY, lambda_concurrency=2):
        throttled = statuses(api, SECONDARY)
        # THEN the primary still serves all, and the secondary does not
        assert set(statuses(api, PRIMARY)) == {200}
    assert {200, 500} == set(throttled)
    # WHEN API Gateway takes few, THEN it refuses the others itself
    with api.quota(SECONDARY, api_requests_per_second=0, api_burst=CALLERS):
        assert 429 in statuses(api, SECONDARY)
    assert set(statuses(api, SECONDARY)) == {200}


def test_verify_says_before_a_failover_that_the_secondary_is_too_small(api, environment):
    def outcomes(check):
        return {each.subject: each for each in check.run(environment)}

    both = f"{SECONDARY} and {PRIMARY}"
    # GIVEN a primary that has served requests at once
    statuses(api, PRIMARY)
    assert outcomes(capacity.headroom)[both].outcome is Outcome.PASSED

    with api.quota(SECONDARY, lambda_concurrency=0, api_requests_per_second=1, api_burst=1):
        small = outcomes(capacity.headroom)[both]
        lower = outcomes(quotas.parity)[both]
        limits = outcomes(capacity.limits)[SECONDARY]

    assert small.outcome is lower.outcome is limits.outcome is Outcome.FAILED
    assert re.search(rf"invocations at once: {PRIMARY} had [1-9]\d*, ", small.found)
    assert "L-B99A9384" in small.fix
    assert f"Lambda concurrent executions: 0 in {SECONDARY}, 1000 in {PRIMARY}" in lower.found
    assert "rateLimit" in limits.found
    assert outcomes(capacity.headroom)[both].outcome is Outcome.PASSED


def test_the_commands_that_change_a_quota_work(api):
    guide = (REPOSITORY / "docs" / "how-to" / "run-the-sandbox.md").read_text()
    blocks = re.findall("^```bash\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)
    (commands,) = (block for block in blocks if "8444/capacity" in block)
    port = str(api.local.sandbox.ports.faults)

    done = subprocess.run(
        ["bash", "-euc", commands.replace("8444", port).replace("curl", "curl --silent --fail")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    decoder, found, rest = json.JSONDecoder(), [], done.stdout
    while rest:
        each, end = decoder.raw_decode(rest)
        found.append(each)
        rest = rest[end:].lstrip()
    changed, shown, restored = found
    assert changed["limits"]["lambda_concurrency"] == 10
    assert shown[SECONDARY]["limits"] == changed["limits"]
    assert restored["limits"]["lambda_concurrency"] == 1000
