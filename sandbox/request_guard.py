"""Who may use a port of the sandbox: programs of this machine, and the sandbox's own page.

Every server of the sandbox asks `refusal` before it does anything with a request. Web pages that
are open on the same machine can send requests to loopback addresses, some of them without asking
first; browsers say in headers that a page cannot change where such a request comes from:

- `Host` is the name in the address. A name of the page's own that resolves to this machine (DNS
  rebinding) is none that a server of the sandbox has.
- `Origin` and `Sec-Fetch-Site` are the page. Programs send neither.

The names of the deployed API are the exception: who may call it from which page is the API's own
decision, as on AWS. Their DNS is AWS's, or the owner's of the domain.

Source: https://www.w3.org/TR/fetch-metadata/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

LOCALHOST = "localhost"
_OWN_SITES = ("same-origin", "none")


def refusal(
    headers: Iterable[tuple[bytes, bytes]],
    server: tuple[str, int],
    *,
    is_api: Callable[[str], bool] = lambda _host: False,
) -> str:
    """Say why a request is refused.

    Args:
        headers: Its headers, names in any case.
        server: Address and port that it arrived at.
        is_api: Whether a host name, in lower case and without a port, is one of the deployed API.

    Returns:
        The reason; empty if the request may be carried out.
    """
    given: dict[str, list[str]] = {}
    for name, value in headers:
        given.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    address, port = server
    hosts = given.get("host", [])
    host = hosts[0].lower() if len(hosts) == 1 else ""
    if is_api(host_name(host)):
        return ""
    # A program may have been forwarded from another port; a page cannot name another one.
    if not re.fullmatch(rf"({re.escape(address)}|{LOCALHOST})(:\d+)?", host):
        return f"this is {address}:{port}, and has no other name"
    if any(origin != f"http://{host}" for origin in given.get("origin", [])) or any(
        site not in _OWN_SITES for site in given.get("sec-fetch-site", [])
    ):
        return "a page of another origin may not use this"
    return ""


def host_name(host: str) -> str:
    """Give the name in a `Host` header, in lower case and without the port.

    Args:
        host: The header's value.
    """
    return host.partition(":")[0].lower().removesuffix(".")
