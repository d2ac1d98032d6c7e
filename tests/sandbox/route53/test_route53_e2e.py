"""The data plane as a program, reading from a real emulator of the Route 53 API."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import dns.message
import dns.query
import pytest

from sandbox.route53.api_client import read_configuration

pytest.importorskip("ministack")
pytestmark = pytest.mark.e2e

EAST = "east.execute-api.us-east-1.amazonaws.com"
WEST = "west.execute-api.eu-west-1.amazonaws.com"


def wait(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Poll until the condition holds, and give its value."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := condition():
                return found
        except OSError:
            pass
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def api(patched: Any) -> str:
    """URL of the local AWS."""
    return str(patched.url)


def client(api: str, service: str = "route53") -> Any:
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=api,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


class Answering(BaseHTTPRequestHandler):
    """Answers every request with the server's present status."""

    def do_GET(self) -> None:
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def east() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.status = 200  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def make_zone(api: str, zone_name: str, **config: Any) -> tuple[str, str]:
    """Create a zone with failover aliases for api.<zone> and a check of the primary."""
    route53 = client(api)
    zone = route53.create_hosted_zone(Name=zone_name, CallerReference=zone_name)
    check = route53.create_health_check(
        CallerReference=zone_name,
        HealthCheckConfig={
            "Type": "HTTP",
            "FullyQualifiedDomainName": EAST,
            "Port": 80,
            "ResourcePath": "/v1/health",
            "RequestInterval": 10,
            "FailureThreshold": 2,
            "Regions": ["us-east-1", "us-west-2", "eu-west-1"],
            **config,
        },
    )["HealthCheck"]["Id"]
    records = [
        {
            "Name": f"api.{zone_name}",
            "Type": "A",
            "SetIdentifier": role.lower(),
            "Failover": role,
            "AliasTarget": {
                "HostedZoneId": "Z1UJRXOUMOOFQ8",
                "DNSName": target,
                "EvaluateTargetHealth": True,
            },
            **({"HealthCheckId": check} if role == "PRIMARY" else {}),
        }
        for role, target in (("PRIMARY", EAST), ("SECONDARY", WEST))
    ]
    records.append(
        {
            "Name": f"*.{zone_name}",
            "Type": "TXT",
            "TTL": 300,
            "ResourceRecords": [{"Value": '"wild"'}],
        }
    )
    route53.change_resource_record_sets(
        HostedZoneId=zone["HostedZone"]["Id"],
        ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": r} for r in records]},
    )
    return zone["HostedZone"]["Id"].rpartition("/")[2], check


def test_the_reader_reads_what_the_api_was_given(api: str) -> None:
    zone_id, check_id = make_zone(
        api, "read.test", Inverted=True, Disabled=True, EnableSNI=True, Type="HTTPS"
    )
    route53 = client(api)

    read = read_configuration(route53, ["read.test", "absent.test"])

    assert (read.zones[0].id, read.missing) == (zone_id, ("absent.test.",))
    group = read.zones[0].group("api.read.test.", "A")
    assert [record.failover for record in group] == ["PRIMARY", "SECONDARY"]
    assert {record.type for record in read.zones[0].records} == {"SOA", "NS", "A", "TXT"}
    check = read.checks[check_id]
    assert (check.inverted, check.disabled, check.enable_sni) == (True, True, True)
    assert check.regions == ("us-east-1", "us-west-2", "eu-west-1")


def test_more_records_than_fit_on_a_page_are_all_read(api: str) -> None:
    route53 = client(api)
    zone = route53.create_hosted_zone(Name="pages.test", CallerReference="pages")["HostedZone"]
    changes = [
        {
            "Action": "CREATE",
            "ResourceRecordSet": {
                "Name": f"r{number}.pages.test",
                "Type": "A",
                "TTL": 60,
                "ResourceRecords": [{"Value": "127.0.0.1"}],
            },
        }
        for number in range(650)
    ]
    route53.change_resource_record_sets(HostedZoneId=zone["Id"], ChangeBatch={"Changes": changes})
    read = read_configuration(client(api), ["pages.test"])
    assert len(read.zones[0].records) == 652


def test_the_program_answers_by_health_and_ends_cleanly(
    api: str, east: ThreadingHTTPServer, tmp_path: Path
) -> None:
    _, check_id = make_zone(api, "run.test")
    endpoints = tmp_path / "endpoints.json"
    endpoints.write_text(
        json.dumps(
            {
                EAST: {"addresses": ["127.0.0.1"], "aaaa": ["::1"], "port": east.server_port},
                "*.execute-api.eu-west-1.amazonaws.com": {"addresses": ["127.0.0.2"]},
            }
        )
    )
    program = subprocess.Popen(
        [
            *(sys.executable, "-m", "sandbox.route53", "--endpoint-url", api),
            *("--zone-name", "run.test", "--endpoints", str(endpoints), "--speed", "50"),
            *("--dns-port", "0", "--status-port", "0"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    try:
        assert program.stdout
        line = program.stdout.readline()
        found = re.search(r"dns 127\.0\.0\.1:(\d+), status (http://\S+)/status", line)
        assert found, line
        port, page = int(found[1]), found[2]

        def ask(name: str, kind: str = "A") -> list[str]:
            query = dns.message.make_query(name, kind)
            answer = dns.query.udp(query, "127.0.0.1", timeout=2, port=port).answer
            return [data.to_text() for rrset in answer for data in rrset]

        wait(lambda: ask("api.run.test") == ["127.0.0.1"])
        assert ask("any.run.test", "TXT") == ['"wild"']
        # WHEN the primary fails, THEN the secondary answers
        east.status = 503  # type: ignore[attr-defined]
        wait(lambda: ask("api.run.test") == ["127.0.0.2"])
        status = json.load(urllib.request.urlopen(f"{page}/status", timeout=2))
        states = {check["id"]: check["status"] for check in status["health_checks"]}
        assert states[check_id] == "unhealthy"
        # WHEN the program is asked to end, THEN it does, without complaint
        program.send_signal(signal.SIGTERM)
        assert program.wait(30) == 0
    finally:
        program.kill()
        program.wait()
        program.stdout.close()
