"""The endpoints in front of the real local AWS: two Regions, one custom domain, faults between."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3

from ops.fault_injection import Fault, FaultInjection
from sandbox.region_endpoints.config import Config, Region

pytest.importorskip("ministack")
pytestmark = pytest.mark.e2e

REPOSITORY = Path(__file__).resolve().parents[3]
DOMAIN = "endpoints.example.com"
ADDRESSES = {"us-east-1": "127.0.1.1", "eu-west-1": "127.0.1.2"}


@dataclass
class TwoRegions:
    """The running endpoints, and how a client calls them."""

    control: FaultInjection
    port: int
    authority: Path
    api_ids: dict[str, str]

    def get(self, host: str, path: str, region: str) -> tuple[int, Any]:
        with urllib3.HTTPSConnectionPool(
            ADDRESSES[region],
            self.port,
            ca_certs=str(self.authority),
            server_hostname=host,
            assert_hostname=host,
            timeout=30,
            retries=False,
        ) as pool:
            response = pool.request("GET", path, headers={"Host": host})
            return response.status, response.json()


@contextlib.contextmanager
def program(*arguments: str) -> Iterator[str]:
    """Runs a module of the repository; gives its first line."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline()
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def two_regions(patched: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoRegions]:
    folder = tmp_path_factory.mktemp("endpoints")
    api_ids = {region: patched.rest_api(region) for region in ADDRESSES}
    for region, api_id in api_ids.items():
        patched.custom_domain(region, DOMAIN, api_id)
    regions = tuple(
        Region(
            name,
            address,
            tuple(f"{label}.execute-api.{name}.amazonaws.com"
                  for label in (api_ids[name], DOMAIN)),
            (DOMAIN,),
        )
        for name, address in ADDRESSES.items()
    )  # fmt: skip
    file = folder / "endpoints.json"
    upstream_port = int(patched.url.rpartition(":")[2])
    config = Config("127.0.0.1", upstream_port, folder / "certificates", regions, port=0)
    file.write_text(config.to_json())
    with program("sandbox.region_endpoints", "--config", str(file)) as line:
        control = FaultInjection(line.split()[-1])
        port = int(re.search(r"https://[\d.]+:(\d+)", line)[1])
        yield TwoRegions(control, port, config.certificates / "ca.pem", api_ids)


@pytest.mark.parametrize("region", ADDRESSES)
def test_custom_domain_answers_from_the_region_whose_address_was_called(two_regions, region):
    assert two_regions.get(DOMAIN, "/v1/thing", region) == (200, {"region": region})


@pytest.mark.parametrize("region", ADDRESSES)
def test_execute_api_host_answers_in_its_region(two_regions, region):
    host = f"{two_regions.api_ids[region]}.execute-api.{region}.amazonaws.com"

    assert two_regions.get(host, "/v1/thing", region) == (200, {"region": region})


@pytest.mark.parametrize("label", [DOMAIN, "unknown123"])
def test_a_regional_host_without_an_api_gets_403(two_regions, label):
    host = f"{label}.execute-api.us-east-1.amazonaws.com"

    assert two_regions.get(host, "/v1/thing", "us-east-1") == (403, {"message": "Forbidden"})


def test_one_region_is_lost_and_comes_back(two_regions):
    with two_regions.control.injected(Fault("us-east-1", "refuse")):
        with pytest.raises(urllib3.exceptions.NewConnectionError):
            two_regions.get(DOMAIN, "/v1/thing", "us-east-1")
        assert two_regions.get(DOMAIN, "/v1/thing", "eu-west-1")[0] == 200

    assert two_regions.get(DOMAIN, "/v1/thing", "us-east-1")[0] == 200
