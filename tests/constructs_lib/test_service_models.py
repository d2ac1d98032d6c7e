"""Whatever the settings accept, AWS's service models accept: names, tags, lengths, numbers."""

import pytest
import tomlkit
from cdktf import App
from extremes import NAME, extremes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from service_models import checked, found_in
from synthesis import Synthesized

import weather_api.stack
from constructs_lib.settings import Settings, load
from constructs_lib.settings.regions import REGIONS
from constructs_lib.settings.validation import OWN_TAGS

pytestmark = pytest.mark.unit

PAIRS = TypeAdapter(Settings.model_fields["tags"].annotation)


def synthesize(folder, text, name):
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return Synthesized(weather_api.stack.build_stack(App(), load(path)))


def test_an_environment_of_extremes_has_nothing_that_the_service_models_refuse(tmp_path):
    stack = synthesize(tmp_path, extremes(customers=3, plans=3), NAME)

    assert list(found_in(stack.json)) == []
    assert len(checked(stack.json)) > 60


def test_a_text_that_a_model_does_not_take_is_found(tmp_path):
    document = synthesize(tmp_path, extremes(customers=1, plans=1), NAME).json
    roles, tags = document["resource"]["aws_iam_role"], {"क\u093e": "x"}
    role = next(iter(roles))
    roles[role] |= {"name": "n" * 65, "description": "\u2014", "tags": tags}

    arguments = {found.rpartition(".")[0] for found, _ in found_in(document)} | {
        found.partition("[")[0] for found, _ in found_in(document)
    }

    assert {f"aws_iam_role.{role}.{name}" for name in ("name", "description", "tags")} <= arguments


def accepted(key, value):
    try:
        PAIRS.validate_python({key: value}, strict=True)
    except ValidationError:
        return False
    return key.casefold() not in {own.casefold() for own in OWN_TAGS}


# Letters of every kind, what combines with them, spaces, punctuation.
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Co", "Cn")), max_size=256)
NARROW = st.text(st.characters(categories=("L", "N", "Zs")), max_size=256)
TAGS = st.dictionaries(
    (TEXT | NARROW).map(lambda text: text[:128]),
    TEXT | NARROW,
    max_size=8,
).map(lambda tags: {key: value for key, value in tags.items() if accepted(key, value)})
SLUG = {
    longest: st.from_regex(rf"[a-z][a-z0-9-]{{0,{longest - 1}}}", fullmatch=True)
    for longest in (12, 16, 32)
}


@st.composite
def environments(draw):
    """`(name, text)` of a file that uses what the settings allow."""
    regions = draw(st.lists(st.sampled_from(REGIONS), min_size=2, max_size=3, unique=True))
    zone = draw(st.from_regex(r"[a-z0-9]{1,20}\.[a-z]{2,6}", fullmatch=True))
    label = draw(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True))
    names = draw(st.booleans()) and len(f"ap-southeast-1.{label}.{zone}") <= 64
    plan, customer = draw(SLUG[32]), draw(SLUG[32])
    limits = {"rate_per_second": 10.0, "burst": 20}
    values = {
        "regions": regions,
        "routing_policy": draw(st.sampled_from(["failover", "latency", "weighted"])),
        "api": {
            "name": draw(SLUG[12]),
            "stage": draw(st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True)),
            "execute_api_endpoint": not names or draw(st.booleans()),
        },
        "table": {"name": draw(st.from_regex(r"[A-Za-z0-9_.-]{3,255}", fullmatch=True))},
        "domain": {
            "zone_name": zone,
            "record_name": draw(st.sampled_from([zone, f"{label}.{zone}"])),
            "create_zone": draw(st.booleans()),
            "regional_names": names,
        },
        "health_check": {
            "failure_threshold": draw(st.integers(1, 10)),
            "interval_seconds": draw(st.sampled_from([10, 30])),
        },
        "encryption": {"customer_managed_key": draw(st.booleans())},
        "monitoring": {"alarms": True, "dashboard": True},
        "plans": {plan: limits},
        "customers": [{"name": customer, "plan": plan, "keys": [draw(st.integers(1, 9999))]}],
        "tags": draw(TAGS),
        "backend": {"type": "local"},
    }
    if values["routing_policy"] == "weighted" and draw(st.booleans()):
        weights = [draw(st.integers(1, 255)), *(draw(st.integers(0, 255)) for _ in regions[1:])]
        values["weights"] = dict(zip(regions, weights, strict=True))
    if draw(st.booleans()):
        values["web_acl"] = {"requests_per_five_minutes": draw(st.integers(10, 2_000_000_000))}
    return draw(SLUG[16]), values


def hold(folder, environment):
    name, values = environment
    folded = [key.casefold() for key in values["tags"]]
    if len(set(folded)) < len(folded):
        return
    stack = synthesize(folder, tomlkit.dumps(values), name)
    assert list(found_in(stack.json)) == []


@pytest.mark.parametrize(
    "examples", [10, pytest.param(100, marks=pytest.mark.soak)], ids=["few", "many"]
)
def test_what_the_settings_accept_the_service_models_accept(tmp_path, examples):
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(environments())
    def run(environment):
        hold(tmp_path, environment)

    run()
