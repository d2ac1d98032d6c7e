"""Failback in a sandbox: the files that set it, and what is waited for."""

import time

from local_api import REGIONS
from repository_files import REPOSITORY

from ops.evacuation_item import read_mark

FIRST, SECOND = REGIONS
PATIENCE_SECONDS = 120
AUTOMATIC = 'regions = ["us-east-1", "us-west-2"]\n'
MANUAL = f'{AUTOMATIC}failback = "manual"\n'


def local_toml(top):
    text = (REPOSITORY / "environments" / "local.toml").read_text()
    assert AUTOMATIC in text
    return text.replace(AUTOMATIC, top)


def region_of_dns(environment):
    """The Region that DNS answers; None without an answer."""
    hosts, targets = environment.network.hosts, environment.outputs.domain_targets
    regions = {hosts[target][0]: region for region, target in targets.items()}
    answered = environment.network.resolve(environment.outputs.record_name).addresses
    return regions[answered[0]] if answered else None


def awaited(condition, what):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def await_region(environment, region):
    awaited(lambda: region_of_dns(environment) == region, f"DNS does not answer {region}")


def await_mark(environment):
    awaited(
        lambda: "long_at" in read_mark(environment, FIRST, SECOND),
        f"{FIRST} is not noted as serving for long",
    )
