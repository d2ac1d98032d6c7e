"""How checks reach AWS and the Regions."""

import socket
import threading
from typing import Any
from urllib.parse import urlsplit

from ops.calls import Answer
from ops.environment import Environment

_making_clients = threading.Lock()


def client(environment: Environment, service: str, region: str) -> Any:
    """A boto3 client; checks run side by side, and making clients of one session must not.

    Args:
        environment: The environment.
        service: Name of the service, as boto3 spells it.
        region: The Region.

    Source: https://boto3.amazonaws.com/v1/documentation/api/latest/guide/session.html
    """
    with _making_clients:
        return environment.client(service, region)


def region_host(environment: Environment, region: str) -> str:
    """Host name that reaches one Region's API alone.

    Args:
        environment: The environment.
        region: The Region.
    """
    return urlsplit(environment.region_url(region)).hostname or ""


def address_of(environment: Environment, host: str) -> tuple[str, int]:
    """Where a host name of AWS leads: to a local Region, or where public DNS says.

    The zone's own servers know nothing of AWS's names.

    Args:
        environment: The environment.
        host: A Region's own host name, or the name behind its domain.

    Returns:
        IPv4 address and port.

    Raises:
        OSError: The name does not resolve.
    """
    network = environment.network
    if host in network.hosts:
        return network.hosts[host]
    found = socket.getaddrinfo(host, network.port, socket.AF_INET, socket.SOCK_STREAM)
    return str(found[0][4][0]), network.port


def get_by_region(
    environment: Environment, region: str, path: str, *, headers: dict[str, str] | None = None
) -> Answer:
    """Calls one Region by its own name.

    Args:
        environment: The environment.
        region: The Region.
        path: Path of the request, with the stage.
        headers: Request headers.
    """
    host = region_host(environment, region)
    address, _ = address_of(environment, host)
    return environment.network.request(
        "GET", f"https://{host}{path}", headers=headers, address=address
    )


def get_by_domain(
    environment: Environment, address: str, path: str, *, headers: dict[str, str] | None = None
) -> Answer:
    """Calls the domain name at an address, whatever DNS says of the name.

    Args:
        environment: The environment.
        address: Address to call.
        path: Path of the request, with the base path.
        headers: Request headers.
    """
    url = f"https://{environment.outputs['record_name']}{path}"
    return environment.network.request("GET", url, headers=headers, address=address)


def got(answer: Answer) -> str:
    """An answer in words: its status, or why there is none.

    Args:
        answer: The answer.
    """
    return str(answer.status) if answer.status is not None else f"no answer ({answer.error})"
