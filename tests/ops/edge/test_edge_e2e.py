"""The edges in front of the real local AWS: two Regions, one custom domain, faults between."""

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config as ClientConfig

from ops.edge.config import Config, Region
from ops.edge.control import EdgeControl
from ops.edge.faults import Fault

pytest.importorskip("ministack")
pytestmark = pytest.mark.e2e

REPOSITORY = Path(__file__).resolve().parents[3]
DOMAIN = "weather.example.com"
ADDRESSES = {"us-east-1": "127.0.1.1", "eu-west-1": "127.0.1.2"}


@dataclass
class TwoRegions:
    """The running edges, and how a client calls them."""

    control: EdgeControl
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
            timeout=10,
            retries=False,
        ) as pool:
            response = pool.request("GET", path, headers={"Host": host})
            return response.status, response.json()


def build_api(url: str, region: str) -> str:
    """A REST API whose `GET /thing` on stage `v1` tells the Region, behind the custom domain."""
    gateway = boto3.client(
        "apigateway",
        region_name=region,
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=ClientConfig(retries={"max_attempts": 1}),
    )
    api = gateway.create_rest_api(name="thing", endpointConfiguration={"types": ["REGIONAL"]})
    resource = gateway.create_resource(
        restApiId=api["id"], parentId=api["rootResourceId"], pathPart="thing"
    )
    place = {"restApiId": api["id"], "resourceId": resource["id"], "httpMethod": "GET"}
    gateway.put_method(**place, authorizationType="NONE")
    gateway.put_integration(
        **place, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'}
    )
    gateway.put_method_response(**place, statusCode="200")
    gateway.put_integration_response(
        **place,
        statusCode="200",
        responseTemplates={"application/json": json.dumps({"region": region})},
    )
    gateway.create_deployment(restApiId=api["id"], stageName="v1")
    gateway.create_domain_name(
        domainName=DOMAIN,
        endpointConfiguration={"types": ["REGIONAL"]},
        regionalCertificateArn=f"arn:aws:acm:{region}:000000000000:certificate/x",
    )
    gateway.create_base_path_mapping(
        domainName=DOMAIN, basePath="v1", restApiId=api["id"], stage="v1"
    )
    return str(api["id"])


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
        process.communicate(timeout=15)


@pytest.fixture(scope="module")
def two_regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoRegions]:
    folder = tmp_path_factory.mktemp("edges")
    with program("ops.emulator", "--port", "0") as line:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert found, line
        api_ids = {region: build_api(found[0], region) for region in ADDRESSES}
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
        file = folder / "edges.json"
        config = Config("127.0.0.1", int(found[1]), folder / "certificates", regions, port=0)
        file.write_text(config.to_json())
        with program("ops.edge", "--config", str(file)) as line:
            control = EdgeControl(line.split()[-1])
            port = int(control.regions()["us-east-1"].rsplit(":", 1)[1])
            yield TwoRegions(control, port, config.certificates / "ca.pem", api_ids)


@pytest.mark.parametrize("region", ADDRESSES)
def test_custom_domain_answers_from_the_region_whose_address_was_called(two_regions, region):
    assert two_regions.get(DOMAIN, "/v1/thing", region) == (200, {"region": region})


@pytest.mark.parametrize("region", ADDRESSES)
def test_execute_api_host_answers_in_its_region(two_regions, region):
    host = f"{two_regions.api_ids[region]}.execute-api.{region}.amazonaws.com"

    assert two_regions.get(host, "/v1/thing", region) == (200, {"region": region})


@pytest.mark.parametrize("label", [DOMAIN, "unknown123"])
def test_regional_host_that_is_no_api_gets_403(two_regions, label):
    host = f"{label}.execute-api.us-east-1.amazonaws.com"

    assert two_regions.get(host, "/v1/thing", "us-east-1") == (403, {"message": "Forbidden"})


def test_one_region_is_lost_and_comes_back(two_regions):
    with two_regions.control.broken(Fault("us-east-1", "refuse")):
        with pytest.raises(urllib3.exceptions.NewConnectionError):
            two_regions.get(DOMAIN, "/v1/thing", "us-east-1")
        assert two_regions.get(DOMAIN, "/v1/thing", "eu-west-1")[0] == 200

    assert two_regions.get(DOMAIN, "/v1/thing", "us-east-1")[0] == 200


def test_edge_adds_little(two_regions):
    def fastest_seconds(region: str) -> float:
        with urllib3.HTTPSConnectionPool(
            ADDRESSES[region],
            two_regions.port,
            ca_certs=str(two_regions.authority),
            server_hostname=DOMAIN,
            assert_hostname=DOMAIN,
        ) as pool:
            times = []
            for _ in range(50):
                began = time.perf_counter()
                # A host of no Region: the edge answers by itself.
                pool.request("GET", "/v1/thing", headers={"Host": "other.example.com"})
                times.append(time.perf_counter() - began)
            return min(times)

    assert fastest_seconds("us-east-1") < 0.003
