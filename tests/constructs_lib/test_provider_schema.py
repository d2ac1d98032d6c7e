"""What is synthesized fits the schema of the newest provider that it may be applied with."""

import copy
import re

import pytest
from cdktf import App
from provider_schema import arguments, configuration, paths, references, version, violations
from repository_files import REPOSITORY, SHIPPED
from synthesis import Synthesized, in_one_stack

import weather_api.stack
from constructs_lib import FailoverApiStack, Key
from examples.minimal import main as minimal
from examples.shop import main as shop

pytestmark = pytest.mark.unit

RANGE = f">= 5.100.0, <= {version()}"
"""From what tests apply to what the bindings describe."""
FILES = {name: REPOSITORY / "environments" / f"{name}.toml" for name in SHIPPED} | {
    "hardened": REPOSITORY / "tests" / "hardened" / "local.toml"
}
DOCUMENT = (REPOSITORY / "docs" / "reference" / "dependencies.md").read_text()
DEPRECATED = dict(
    re.findall(r"^\| `(aws_\S+)` \| (before 5\.100|[\d.]+) \|", DOCUMENT, re.MULTILINE)
)
"""`{argument: version since when}`, as documented."""


def stack_of(name):
    if name in FILES:
        return weather_api.stack.build_stack(App(), in_one_stack(FILES[name]))
    if name == "shop":
        return shop.build(App())
    return FailoverApiStack(
        App(),
        settings=minimal.SETTINGS,
        operations=minimal.OPERATIONS,
        health_operation="get_health",
        functions=REPOSITORY / "examples" / "minimal" / "functions",
        partition_key=Key("language"),
    )


@pytest.fixture(scope="module", params=[*FILES, "shop", "minimal"])
def document(request):
    return Synthesized(stack_of(request.param)).json


def deprecated_in(document, newest):
    """What a document uses that is deprecated up to a version."""
    return {
        argument
        for argument in DEPRECATED.keys() & paths(document)
        if number(DEPRECATED[argument]) <= number(newest)
    }


def number(version):
    """To compare versions; 'before 5.100' is before all."""
    return tuple(map(int, version.split("."))) if version[0].isdigit() else ()


def test_it_fits_the_schema_of_the_newest_provider(document):
    assert list(violations(document)) == []


def test_nothing_of_it_is_deprecated(document):
    assert deprecated_in(document, version()) == set()


def test_the_range_of_providers_is_what_is_checked(document):
    assert document["terraform"]["required_providers"]["aws"] == {
        "source": "hashicorp/aws",
        "version": RANGE,
    }


def test_the_documents_name_the_range():
    decision = REPOSITORY / "docs" / "explanation" / "adr" / "0001-cdk-for-terraform.md"

    assert f"`{RANGE}`" in DOCUMENT
    assert f"`{RANGE}`" in decision.read_text()


def test_what_the_documents_call_deprecated_is_an_argument():
    assert len(DEPRECATED) >= 17
    for path in DEPRECATED:
        type, *names = path.split(".")
        struct = configuration(type)
        for name in names:
            struct = arguments(struct)[name].block


def plant(document, type, change):
    planted = copy.deepcopy(document)
    name, given = next(iter(planted["resource"][type].items()))
    change(given)
    return name, planted


PLANTED = [
    ("aws_lambda_function", lambda f: f.update(memory=128), "unknown memory"),
    ("aws_lambda_function", lambda f: f.pop("role"), "missing role"),
    ("aws_dynamodb_table", lambda t: t["attribute"][0].update(kind="S"), "unknown attribute.kind"),
    (
        "aws_dynamodb_table",
        lambda t: t["attribute"][0].pop("type"),
        "missing attribute.type",
    ),
    ("aws_route53_record", lambda r: r.update(latency={}), "unknown latency"),
    # Version 6 has removed it.
    (
        "aws_api_gateway_deployment",
        lambda d: d.update(stage_name="v1"),
        "unknown stage_name",
    ),
    ("aws_api_gateway_stage", lambda s: s.pop("rest_api_id"), "missing rest_api_id"),
]


@pytest.fixture(scope="module")
def local():
    return Synthesized(stack_of("local")).json


@pytest.fixture(scope="module")
def hardened():
    return Synthesized(stack_of("hardened")).json


@pytest.mark.parametrize(("type", "change", "found"), PLANTED, ids=[each[2] for each in PLANTED])
def test_a_planted_mistake_is_found(local, type, change, found):
    name, planted = plant(local, type, change)

    assert list(violations(planted)) == [f"{type}.{name}: {found}"]


def test_a_planted_mistake_in_a_provider_or_a_data_source_is_found(local):
    planted = copy.deepcopy(local)
    planted["provider"]["aws"][0]["shared_credentials_file"] = "~/.aws/credentials"
    document = next(iter(planted["data"]["aws_iam_policy_document"].values()))
    document["statement"][0]["action"] = ["s3:GetObject"]

    assert [text.rpartition(": ")[2] for text in violations(planted)] == [
        "unknown shared_credentials_file",
        "unknown statement.action",
    ]


@pytest.mark.parametrize(
    ("rule", "change", "found"),
    [
        (0, lambda s: s.update(ip_set_statement={}), "unknown rule.statement.ip_set_statement"),
        (
            0,
            lambda s: s["ip_set_reference_statement"].update(id="x"),
            "unknown rule.statement.ip_set_reference_statement.id",
        ),
        (
            -1,
            lambda s: s["rate_based_statement"].update(evaluation_window=300),
            "unknown rule.statement.rate_based_statement.evaluation_window",
        ),
        (
            -1,
            lambda s: s["rate_based_statement"].pop("aggregate_key_type"),
            "missing rule.statement.rate_based_statement.aggregate_key_type",
        ),
        (
            -1,
            lambda s: s["rate_based_statement"].update(
                scope_down_statement={"geo_match_statement": {"countries": ["NL"]}}
            ),
            "unknown rule.statement.rate_based_statement.scope_down_statement"
            ".geo_match_statement.countries",
        ),
    ],
)
def test_a_planted_mistake_in_a_statement_of_the_web_acl_is_found(hardened, rule, change, found):
    name, planted = plant(
        hardened, "aws_wafv2_web_acl", lambda acl: change(acl["rule"][rule]["statement"])
    )

    assert list(violations(planted)) == [f"aws_wafv2_web_acl.{name}: {found}"]


def test_a_planted_reference_to_what_a_resource_does_not_have_is_found(local):
    # Version 6 has removed it.
    name = next(iter(local["resource"]["aws_api_gateway_deployment"]))
    planted = local | {
        "output": {"url": {"value": f"${{aws_api_gateway_deployment.{name}.invoke_url}}"}}
    }

    assert len(references(local)) > 30
    assert [*violations(planted)] == ["unknown attribute aws_api_gateway_deployment.invoke_url"]


@pytest.mark.parametrize(
    ("type", "change", "argument"),
    [
        ("aws_s3_bucket", lambda b: b.update(acl="private"), "acl"),
        ("aws_iam_role", lambda r: r.update(inline_policy=[{}]), "inline_policy"),
    ],
)
def test_a_planted_deprecated_argument_is_found(local, type, change, argument):
    _, planted = plant(local, type, change)

    assert deprecated_in(planted, version()) == {f"{type}.{argument}"}


def test_what_later_versions_deprecate_is_known():
    document = Synthesized(stack_of("shop")).json

    assert deprecated_in(document, "6.29") == {
        "aws_dynamodb_table.global_secondary_index.hash_key",
        "aws_dynamodb_table.global_secondary_index.range_key",
    }
