"""The examples for publishers in docs/reference/weather-api.md, where signatures are checked."""

import os
import re
import subprocess
import sys

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from local_api import REGIONS
from repository_files import REPOSITORY

pytestmark = pytest.mark.e2e

DOCUMENT = (REPOSITORY / "docs" / "reference" / "weather-api.md").read_text()
CONNECTED = """
import socket
_connect = socket.create_connection
socket.create_connection = lambda _, *more, **named: _connect({address!r}, *more, **named)
"""
"""What DNS does elsewhere: the primary's address for every name."""


def example(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    return found


@pytest.fixture
def address(hardened):
    """Address and port of the primary."""
    (name,) = re.findall("//([^/]+)", hardened.outputs.region_urls[REGIONS[0]])
    return hardened.local.network.hosts[name]


def environment(credentials, **variables):
    return {
        # Without the token of other tests.
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        **variables,
    }


def publish_in_python(api, address, credentials, folder):
    (folder / "sitecustomize.py").write_text(CONNECTED.format(address=tuple(address)))
    done = subprocess.run(
        [sys.executable, "-c", example("python")],
        env=environment(
            credentials, PYTHONPATH=str(folder), SSL_CERT_FILE=str(api.workspace.ca_file)
        ),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_example_adds_an_observation_once(hardened, address, credentials, tmp_path):
    first = publish_in_python(hardened, address, credentials, tmp_path)
    again = publish_in_python(hardened, address, credentials, tmp_path)

    assert '"observed_at":"2026-06-02T12:00:00Z"' in first
    assert '"created":false' in again


def run_curl(api, address, credentials, command):
    host, port = address
    to = f"--connect-to ::{host}:{port}"
    options = f"-s -w '%{{http_code}}' -o /dev/null --cacert {api.workspace.ca_file} {to}"
    done = subprocess.run(
        ["bash", "-c", f'curl() {{ command curl {options} "$@"; }}\n{command}'],
        env=environment(credentials),
        capture_output=True,
        text=True,
    )
    return int(done.stdout)


def test_the_curl_example_registers_a_location(hardened, address, credentials):
    forged = Credentials(credentials.access_key, "f" * 40)

    assert run_curl(hardened, address, credentials, example("bash")) in (200, 201)
    assert run_curl(hardened, address, forged, example("bash")) == 403


def put(api, url, credentials, region, signer=SigV4Auth):
    body = b'{"temperature_celsius": 3}'
    signed = AWSRequest("PUT", url, {"Content-Type": "application/json"}, body)
    signer(credentials, "execute-api", region).add_auth(signed)
    return api.local.network.request("PUT", url, headers=dict(signed.headers.items()), body=body)


class Unencoded(SigV4Auth):
    """A signer that leaves a path as it is sent."""

    def _normalize_url_path(self, path):
        return path


@pytest.mark.parametrize(("signer", "accepted"), [(SigV4Auth, True), (Unencoded, False)])
def test_a_colon_in_a_path_is_encoded_in_what_is_signed(hardened, credentials, signer, accepted):
    region = REGIONS[0]
    path = "/weather/amsterdam/observations/2026-06-02T11:00:00Z"
    url = hardened.outputs.region_urls[region] + path

    response = put(hardened, url, credentials, region, signer)

    assert response.ok is accepted, response
    assert accepted or response.status == 403


def test_a_signature_for_another_region_is_refused(hardened, credentials):
    here, other = REGIONS
    url = f"{hardened.outputs.region_urls[here]}/locations/amsterdam"
    response = put(hardened, url, credentials, other)

    assert response.status == 403
