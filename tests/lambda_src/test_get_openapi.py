"""Rules of the operation that serves the OpenAPI document."""

import importlib
import json

import pytest
from repository_files import REPOSITORY

import get_openapi

pytestmark = pytest.mark.unit

GENERATED = REPOSITORY / "lambda_src" / "weather" / "openapi.json"
URL = "https://api.example.org/v7"
COMMON = {"url": URL, "description": "The name that resolves to the Region in service."}


@pytest.fixture(autouse=True)
def at_url(monkeypatch):
    """The function as it starts where the API has another name."""
    with monkeypatch.context() as patch:
        patch.setenv("API_URL", URL)
        importlib.reload(get_openapi)
        yield
    importlib.reload(get_openapi)


def test_the_document_is_the_generated_one_with_the_server_that_fails_over(call) -> None:
    # GIVEN the generated document
    generated = json.loads(GENERATED.read_text(encoding="utf-8"))
    # WHEN it is asked for
    answer = call(get_openapi)
    # THEN only its servers differ: the one name that leads to every Region
    assert answer.status == 200
    assert answer.document == {**generated, "servers": [COMMON]}
    assert list(answer.document) == list(generated)


def test_the_regions_own_names_follow_in_their_order(call, monkeypatch) -> None:
    # GIVEN an environment whose Regions have their own names
    monkeypatch.setenv("NAMED_REGIONS", "us-west-2 eu-west-1")
    importlib.reload(get_openapi)
    # WHEN the document is asked for
    answer = call(get_openapi)
    # THEN they are servers after the name that fails over, in the order of the settings
    assert answer.document["servers"][0] == COMMON
    assert answer.document["servers"][1:] == [
        {
            "url": f"https://{region}.api.example.org/v7",
            "description": f"The Region {region} alone.",
        }
        for region in ("us-west-2", "eu-west-1")
    ]


def test_the_document_is_json_that_may_be_kept_for_a_while(call) -> None:
    # GIVEN a request with parameters that other operations would refuse
    # WHEN the document is asked for
    answer = call(get_openapi, query={"x": ["1", "2"]})
    # THEN it is JSON, names its Region, and may be cached by anybody, shortly
    assert answer.headers == {
        "Content-Type": "application/json",
        "X-Served-By-Region": "eu-central-1",
        "Cache-Control": "public, max-age=300",
    }


def test_the_document_is_rendered_once() -> None:
    # GIVEN two requests
    # WHEN they are answered
    bodies = [get_openapi.handler({}, None)["body"] for _ in range(2)]
    # THEN the text is the same object
    assert bodies[0] is bodies[1]


def test_numbers_of_the_document_survive_as_they_are() -> None:
    # GIVEN the numbers of the generated document, as text
    def numbers_of(text: str) -> list[str]:
        found: list[str] = []
        json.loads(text, parse_int=found.append, parse_float=found.append)
        return found

    # WHEN the document is served
    # THEN they are written the same
    served = numbers_of(get_openapi.handler({}, None)["body"])
    assert served == numbers_of(GENERATED.read_text(encoding="utf-8"))
