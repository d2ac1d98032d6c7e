"""The API keys that API Gateway has, and their values: what the values of this machine must equal.

A key that was made on two machines has two values. The first one that is deployed is the key's; a
deployment with the other one would lock out whoever uses the first.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.aws import client_of, session_for
from ops.environment import Environment
from ops.environment_file import EnvironmentFile
from ops.errors import OpsError, UsageError, explain
from ops.key_values import KeyFile

Deployed = Mapping[str, Mapping[str, str]]
"""`{key name: {region: id}}` of the deployed keys."""

KEYS_IN_A_PAGE = 500
"""Most keys in one response.

Source: https://docs.aws.amazon.com/apigateway/latest/api/API_GetApiKeys.html
"""


@dataclass(frozen=True)
class InService:
    """The keys of an environment that API Gateway has in one Region.

    Attributes:
        region: The Region.
        ids: `{key name: id}`.
        values: `{key name: value}`: secrets, which are compared and never shown.
        others: The same of all other keys of the account in that Region, by their full names.
    """

    region: str
    ids: Mapping[str, str]
    values: Mapping[str, str]
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def deployed(self) -> Deployed:
        """The same without the values."""
        return {name: {self.region: id} for name, id in self.ids.items()}


def on_aws(region: str) -> Any:
    """A client of API Gateway on AWS, for an environment of which no output is known.

    Args:
        region: The Region.
    """
    return client_of(session_for(None, region), "apigateway", region, None)


def pull(environment: Environment, keys: KeyFile) -> dict[str, str]:
    """Read the values of all deployed keys from API Gateway into the key file.

    Args:
        environment: The deployed environment.
        keys: The key file.

    Returns:
        `{key name: value}`.

    Raises:
        OpsError: No Region returns them, or one is missing there.
    """
    deployed = environment.outputs.api_key_ids
    region, found = _listed_keys(
        environment.regions,
        lambda region: environment.client("apigateway", region),
        lambda region, key: any(key["id"] == ids[region] for ids in deployed.values()),
    )
    by_id = {key["id"]: key["value"] for key in found}
    if missing := [name for name, ids in deployed.items() if ids[region] not in by_id]:
        raise OpsError(
            f"API Gateway in {region} does not have {', '.join(missing)}",
            next_step=f"check that these credentials are for the account of {environment.name}; "
            "if its keys have changed, write its descriptor again: python -m ops export",
        )
    values = {name: by_id[ids[region]] for name, ids in deployed.items()}
    keys.add(values)
    return values


def in_service(file: EnvironmentFile, gateway: Callable[[str], Any]) -> InService:
    """Read the keys of an environment from API Gateway, by their names: no state is needed.

    Args:
        file: The environment's file.
        gateway: Gives a client of API Gateway in a Region.

    Returns:
        The keys in the first Region that has any; they have the same values in all.

    Raises:
        OpsError: No Region returns them, and not every Region says that there are none.
    """
    owners = {customer.name for customer in file.customers}

    def own_name(key: Mapping[str, str]) -> str:
        name = key["name"].removeprefix(file.key_prefix)
        # A prefix may be that of another environment, too.
        return name if key["name"] != name and name.rpartition("-")[0] in owners else ""

    region, found = _listed_keys(file.regions, gateway, lambda _, key: bool(own_name(key)))
    own = {name: key for key in found if (name := own_name(key))}
    return InService(
        region,
        {name: key["id"] for name, key in own.items()},
        {name: key["value"] for name, key in own.items()},
        {key["name"]: key["value"] for key in found if not own_name(key)},
    )


def refuse_other_values(
    file: EnvironmentFile, known: Mapping[str, str], deployed: InService
) -> None:
    """Refuse to continue with a value that is not the deployed one, or is that of another key.

    Args:
        file: The environment's file.
        known: `{key name: value}` that is known on this machine.
        deployed: The keys in API Gateway.

    Raises:
        OpsError: A key has two values: it was made on two machines, and one of them was deployed.
            Or a value of a key that is not deployed yet is in service under another name.
    """
    if different := [
        name
        for name, value in deployed.values.items()
        if name in known and not hmac.compare_digest(known[name].encode(), value.encode())
    ]:
        raise UsageError(
            f"the value of {', '.join(different)} on this machine is not the deployed one, and "
            "would replace it: whoever uses it would be locked out",
            next_step=f"take the deployed one: python -m ops customers pull --environment "
            f"{file.environment}; and give it to a customer who got the other one",
        )
    full = {name: f"{file.key_prefix}{name}" for each in file.customers for name in each.keys}
    owners = {value: name for name, value in deployed.others.items()} | {
        value: f"{file.key_prefix}{name}" for name, value in deployed.values.items()
    }
    if shared := [
        f"{name} is that of {owners[known[name]]}"
        for name in full
        if known.get(name) in owners and owners[known[name]] != full[name]
    ]:
        raise UsageError(
            f"the value of {', and the value of '.join(shared)} in API Gateway, which takes each "
            "value once in an account and Region",
            next_step="remove the value and create another one: python -m ops customers issue "
            f"--environment {file.environment}; a renamed customer, too, gets a new key",
        )


def _listed_keys(
    regions: Iterable[str],
    gateway: Callable[[str], Any],
    is_own: Callable[[str, dict[str, str]], bool],
) -> tuple[str, list[dict[str, str]]]:
    """The keys, with values, in the first Region that has own ones, and that Region.

    A Region that was not deployed to yet, or lists only a part, has none: that there are none at
    all is true only if every Region says so.
    """
    problems, without_own = [], []
    for region in regions:
        try:
            pages = (
                gateway(region)
                .get_paginator("get_api_keys")
                .paginate(includeValues=True, PaginationConfig={"PageSize": KEYS_IN_A_PAGE})
            )
            found = [
                # A key may have no name; it is somebody else's then.
                {"id": key["id"], "name": key.get("name", ""), "value": key["value"]}
                for page in pages
                # An empty list may be left out.
                for key in page.get("items", [])
            ]
        except Exception as error:  # whatever it is, another Region may respond
            problems.append(f"{region}: {explain(error)}")
            continue
        if any(is_own(region, key) for key in found):
            return region, found
        without_own.append((region, found))
        problems.append(f"{region}: it has no key of this environment")
    if without_own and len(without_own) == len(problems):
        # The fullest one: what it has besides is compared with the values of this machine.
        return max(without_own, key=lambda each: len(each[1]))
    raise OpsError(
        f"no Region returns the deployed keys: {'; '.join(problems)}",
        next_step="check these credentials: they need apigateway:GET on /apikeys; if a Region is "
        "out of reach, run this again once it responds: it may be the one that has the keys",
    )
