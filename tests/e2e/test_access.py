"""Who gets in: every operation x every kind of credentials, in both Regions; keys that are rotated.

On a local AWS that checks signatures, at names whose default endpoint is closed.
"""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.credentials import Credentials
from local_api import REGIONS, run_ops

import weather_api.operations
from constructs_lib import Authorization
from sandbox import lifecycle

pytestmark = pytest.mark.e2e

PATHS = {
    "location": "amsterdam",
    "observed_at": "2026-06-02T10:00:00Z",
    "region": "us-east-1",
}
BODIES = {
    "put_location": {"name": "Amsterdam", "latitude_degrees": 52.37, "longitude_degrees": 4.9},
    "put_observation": {"temperature_celsius": 3},
}
PUBLISHER = Credentials("test", "test")
ANSWERED = {"get_health": {503}, "get_evacuation": {404, 503}}
"""Statuses of functions' responses where they are not 2xx: on a busy machine, a function of health
gives up on its table."""


def call(api, region, operation, headers=None, credentials=None):
    path = re.sub(r"\{(\w+)\}", lambda match: PATHS[match[1]], operation.path)
    return api.by_name(
        operation.method, region, path, headers, BODIES.get(operation.name), credentials
    )


@pytest.fixture(scope="module")
def key_values(hardened):
    return hardened.local.environment.key_values


@pytest.fixture(scope="module")
def key_of_another_plan(hardened):
    """The same value in both Regions, in a usage plan that opens none of the API's stages."""
    value, made = "f" * 40, []
    for region in REGIONS:
        gateway = hardened.client("apigateway", region)
        plan = gateway.create_usage_plan(name="elsewhere")["id"]
        key = gateway.create_api_key(name="stranger", value=value, enabled=True)["id"]
        gateway.create_usage_plan_key(usagePlanId=plan, keyId=key, keyType="API_KEY")
        made.append((gateway, plan, key))
    yield value
    for gateway, plan, key in made:
        gateway.delete_usage_plan_key(usagePlanId=plan, keyId=key)
        gateway.delete_api_key(apiKey=key)
        gateway.delete_usage_plan(usagePlanId=plan)


OPEN, KEYED, SIGNED = Authorization.NONE, Authorization.API_KEY, Authorization.IAM
ANSWER, REFUSED = "an answer", 403
MATRIX = {
    "no credentials": {OPEN: ANSWER, KEYED: REFUSED, SIGNED: REFUSED},
    "a wrong key": {OPEN: ANSWER, KEYED: REFUSED, SIGNED: REFUSED},
    "a key of another plan": {OPEN: ANSWER, KEYED: REFUSED, SIGNED: REFUSED},
    "a throttled key": {OPEN: ANSWER, KEYED: 429, SIGNED: REFUSED},
    "a reader's key": {OPEN: ANSWER, KEYED: ANSWER, SIGNED: REFUSED},
    "a signature": {OPEN: ANSWER, KEYED: REFUSED, SIGNED: ANSWER},
    "a reader's key and a forged signature": {OPEN: ANSWER, KEYED: ANSWER, SIGNED: REFUSED},
}


@pytest.mark.parametrize("credentials", MATRIX)
@pytest.mark.parametrize("operation", weather_api.operations.OPERATIONS, ids=lambda o: o.name)
@pytest.mark.parametrize("region", REGIONS)
def test_who_gets_in(hardened, key_values, key_of_another_plan, region, operation, credentials):
    signer = {
        "a signature": PUBLISHER,
        "a reader's key and a forged signature": Credentials("AKIAFORGED0000000000", "forged"),
    }.get(credentials)
    key = {
        "a wrong key": "w" * 40,
        "a key of another plan": key_of_another_plan,
        "a throttled key": key_values["globex-1"],
        "a reader's key": key_values["acme-1"],
        "a reader's key and a forged signature": key_values["acme-1"],
    }.get(credentials)
    # An open operation is called without a signature: API Gateway would check one that is there.
    signer = signer if operation.authorization is SIGNED else None
    headers = {"x-api-key": key} if key else {}
    expected = MATRIX[credentials][operation.authorization]

    answer = call(hardened, region, operation, headers, signer)
    if credentials == "a throttled key" and expected == 429:
        # GIVEN a key whose burst of 5 is used up
        for _ in range(20):
            if answer.status == 429:
                break
            answer = call(hardened, region, operation, headers)
        assert answer.headers["retry-after"] == "1"

    if expected == ANSWER:
        assert answer.ok or answer.status in ANSWERED.get(operation.name, ()), answer
        assert answer.region == region
    else:
        assert answer.status == expected, answer


def test_customers_do_not_starve_health_checks(hardened):
    # GIVEN a customer who uses up what a method serves to all
    def locations(_):
        headers = {"x-api-key": hardened.local.environment.key_values["acme-1"]}
        return hardened.by_name("GET", REGIONS[0], "/locations", headers).status

    with ThreadPoolExecutor(8) as pool:
        assert 429 in set(pool.map(locations, range(60)))
    # WHEN checkers ask more often than a method's burst, THEN every one is answered; one after the
    # other, for ten at once is what is reserved for their function
    health = [hardened.by_name("GET", REGIONS[0], "/health").status for _ in range(60)]
    assert 429 not in health


def test_a_quota_is_counted_in_each_region_by_itself(hardened):
    headers = {"x-api-key": hardened.local.environment.key_values["initech-1"]}
    for region in REGIONS:
        answers = [hardened.by_name("GET", region, "/weather/quito", headers) for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        assert answers[-1].headers["retry-after"] == "3600"


def test_an_issued_key_opens_both_regions_and_a_rotated_one_stops_in_both(
    hardened, hardened_environments
):
    folder = ("--folder", str(hardened.workspace.folder))

    def customers(*arguments):
        variables = {"FAILOVER_ENVIRONMENTS": str(hardened_environments)}
        done = run_ops("customers", *arguments, *folder, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def statuses(key):
        values = lifecycle.key_file(hardened.workspace).values()
        return [
            hardened.by_name("GET", region, "/weather/quito", {"x-api-key": values[key]}).status
            for region in REGIONS
        ]

    # GIVEN a customer who is issued a key, and another whose key is rotated
    issued = customers("issue", "umbrella", "--plan", "monthly")
    rotated = customers("rotate", "acme")
    assert issued.startswith("umbrella-1 ")
    assert rotated.startswith("acme-2 ")
    assert statuses("umbrella-1") == statuses("acme-2") == [403, 403]

    # WHEN it is deployed, THEN the issued, the old and the new key open both Regions
    hardened.up()
    assert statuses("umbrella-1") == statuses("acme-1") == statuses("acme-2") == [200, 200]
    table = customers("list")
    assert re.search(r"acme-2 .*yes.*us-east-1, us-west-2", table)

    # WHEN the rotation is finished and deployed, THEN the old one stops in both
    customers("rotate", "acme", "--finish")
    hardened.up()
    assert statuses("acme-1") == [403, 403]
    assert statuses("umbrella-1") == statuses("acme-2") == [200, 200]
    # AND nothing is left to change; right after a deployment, a busy machine lets functions give up
    tries = (run_ops("verify", *folder) for _ in range(3))
    assert any(verified.returncode == 0 for verified in tries)
