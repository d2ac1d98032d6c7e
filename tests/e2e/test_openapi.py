"""The API does what its OpenAPI document says, whatever it is sent, in both Regions.

Valid and invalid requests are generated from the document that the API itself serves.
"""

import json
from collections import Counter
from decimal import Decimal

import pytest
import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, Phase, given, settings
from local_api import REGIONS
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

pytestmark = pytest.mark.e2e

load_all_checks()
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


class Caller:
    """Sends generated cases to one Region, with the credentials that the operation asks for."""

    def __init__(self, api, region, security, expected):
        self.api, self.region, self.security, self.expected = api, region, security, expected
        self.url = api.local.region_urls[region]
        self.statuses: Counter[int] = Counter()

    def __call__(self, case: Case) -> None:
        prepared = requests.Request(**case.as_transport_kwargs(base_url=self.url)).prepare()
        body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
        headers = dict(prepared.headers) | self._credentials(case, prepared, body)
        answer = self.api.http.request(
            prepared.method, prepared.url, body=body, headers=headers, retries=False, timeout=30
        )
        self.statuses[answer.status] += 1
        text = answer.data.decode()
        assert "Traceback" not in text
        assert 'File "' not in text
        if prepared.method == "PUT" and answer.status in (200, 201):
            document = json.loads(text, parse_float=Decimal, parse_int=Decimal)
            self.expected[key_of(document)] = fields_of(document)
        elif prepared.method == "DELETE" and answer.status == 204:
            moment = (case.path_parameters["location"], case.path_parameters["observed_at"])
            for key in [key for key in self.expected if key[:2] == moment]:
                del self.expected[key]
        case.validate_response(
            Response(
                status_code=answer.status,
                headers={name.lower(): [value] for name, value in answer.headers.items()},
                content=answer.data,
                request=prepared,
                elapsed=0.0,
                verify=False,
                encoding="utf-8",
            ),
            checks=CHECKS,
            transport_kwargs={"base_url": self.url},
        )

    def _credentials(self, case, prepared, body):
        security = self.security[case.operation.definition.raw["operationId"]]
        if security == [{"api_key": []}]:
            return {"x-api-key": self.api.local.api_key}
        if security == [{"aws_signature": []}]:
            request = AWSRequest(prepared.method, prepared.url, data=body)
            SigV4Auth(Credentials("test", "test"), "execute-api", self.region).add_auth(request)
            return dict(request.headers.items())
        return {}


KEYS = ("location", "observed_at", "observation_id")


def key_of(document):
    """What distinguishes a written document from all others."""
    return tuple(document[name] for name in KEYS if name in document)


def fields_of(document):
    """What was written, without where it was written and whether it was new."""
    return {name: v for name, v in document.items() if name not in (*KEYS, "created")}


def stored(api, region):
    """`{key: fields}` of all items of a Region's replica, as the documents have them."""
    pages = api.client("dynamodb", region).get_paginator("scan")
    found = {}
    for page in pages.paginate(TableName=api.outputs.table_name):
        for item in page["Items"]:
            pk, sk = item.pop("pk")["S"], item.pop("sk")["S"]
            kind, _, location = pk.partition("#")
            key = (sk,) if kind == "locations" else (location, *sk.split("#")[1:])
            found[key] = {
                name: Decimal(value["N"]) if "N" in value else value["S"]
                for name, value in item.items()
            }
    return found


def generated(operation, mode, call, examples):
    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case):
        call(case)

    run()


@pytest.fixture
def document(api):
    answer = api.send("GET", api.url(REGIONS[0], "/openapi.json"))
    assert answer.status == 200
    return answer.json


def test_both_regions_serve_the_same_document_with_the_name_that_fails_over(api, document):
    other = api.send("GET", api.url(REGIONS[1], "/openapi.json"))

    assert other.json == document
    # The environment has no names for its Regions.
    assert [server["url"] for server in document["servers"]] == [api.outputs.api_url]


def test_both_regions_serve_the_regions_own_names_too(hardened):
    documents = [hardened.by_name("GET", region, "/openapi.json").json for region in REGIONS]

    assert documents[0] == documents[1]
    assert [server["url"] for server in documents[0]["servers"]] == [
        hardened.outputs.api_url,
        *(hardened.outputs.region_urls[region] for region in REGIONS),
    ]


@pytest.mark.parametrize(
    ("examples", "cases_required"),
    [(20, 400), pytest.param(90, 2000, marks=pytest.mark.soak)],
)
def test_every_answer_is_documented_and_no_refused_request_stores_anything(
    api, document, examples, cases_required
):
    # GIVEN what is in the table, and what shall be
    expected = stored(api, REGIONS[0])
    # AND the document without its credentials: every request is given the right ones
    security = {}
    for operation in (each for path in document["paths"].values() for each in path.values()):
        security[operation["operationId"]] = operation.pop("security")
    del document["components"]["securitySchemes"]
    callers = [Caller(api, region, security, expected) for region in REGIONS]

    # WHEN requests of every kind are sent to both Regions
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = found.ok()
        takes_nothing = not operation.definition.raw.get("parameters")
        for mode in GenerationMode:
            if takes_nothing and mode is GenerationMode.NEGATIVE:
                continue
            for caller in callers:
                # A Region deletes what it has: what the other one wrote must have arrived.
                api.settle()
                generated(operation, mode, caller, 1 if takes_nothing else examples)

    # THEN each answer was as documented, none was a failure of ours, and there were enough
    statuses = sum((caller.statuses for caller in callers), Counter())
    print(f"{statuses.total()} requests: {dict(sorted(statuses.items()))}")
    assert statuses.total() >= cases_required
    assert {200, 201, 400, 404} <= set(statuses)
    assert not [status for status in statuses if status >= 500]
    # AND the table holds what was acknowledged, to the letter, and nothing else
    api.settle()
    for region in REGIONS:
        assert stored(api, region) == expected
