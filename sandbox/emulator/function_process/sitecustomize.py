"""What Python imports first in a function's process: it resolves names there as AWS does.

On AWS, a function asks the resolver of its Region, which asks Route 53. Here it asks the sandbox's
Route 53, and the machine's resolver for what that refuses: names of other zones. Only the lookup of
one IPv4 address is replaced, `socket.gethostbyname`.

The SDK looks up the endpoint of AWS with `socket.getaddrinfo`. That fails while a fault says so, as
for a name that does not exist.

Source: https://docs.python.org/3/library/site.html
Source: https://www.rfc-editor.org/rfc/rfc1035
"""

import os
import secrets
import socket
import struct
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_PORT = int(os.environ["SANDBOX_DNS_PORT"])
_TIMEOUT_SECONDS = 1.0
_REFUSED = 5
_RECURSION_DESIRED = 0x100
_A = 1
_INTERNET = 1
_elsewhere = socket.gethostbyname


def _gethostbyname(name: str) -> str:
    id = secrets.randbits(16)
    labels = [label.encode("idna") for label in name.rstrip(".").split(".")]
    question = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(_TIMEOUT_SECONDS)
        asking.connect(("127.0.0.1", _PORT))
        header = struct.pack(">6H", id, _RECURSION_DESIRED, 1, 0, 0, 0)
        asking.send(header + question + struct.pack(">2H", _A, _INTERNET))
        response = asking.recv(4096)
    answered_id, flags, _, answers, _, _ = struct.unpack_from(">6H", response)
    if answered_id != id:
        raise socket.gaierror(socket.EAI_AGAIN, "the answer to another question")
    if flags & 0xF == _REFUSED:
        return _elsewhere(name)
    place = 12 + len(question) + 4
    for _ in range(answers):
        while (length := response[place]) and length < 0xC0:
            place += length + 1
        place += 2 if length else 1
        kind, _, _, size = struct.unpack_from(">2HIH", response, place)
        place += 10
        if kind == _A:
            return socket.inet_ntoa(response[place : place + size])
        place += size
    raise socket.gaierror(socket.EAI_NONAME, f"{name}: no address")


_AWS = urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).hostname
_IS_UNRESOLVED = Path(os.environ.get("SANDBOX_UNRESOLVED", ""), os.environ.get("AWS_REGION", "-"))
_any_address = socket.getaddrinfo


def _getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
    if host == _AWS and _IS_UNRESOLVED.exists():
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return _any_address(host, *arguments, **options)


socket.gethostbyname = _gethostbyname
socket.getaddrinfo = _getaddrinfo
