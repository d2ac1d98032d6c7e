import json
import re
from pathlib import Path

import botocore
import pytest
from repository_files import ENVIRONMENTS, REPOSITORY

from constructs_lib.settings import SettingsError, load
from constructs_lib.settings.regions import (
    REGIONS,
    REGIONS_NEWER_THAN_THE_PROVIDER,
    SMALLER_QUOTA_REGIONS,
)
from constructs_lib.settings.schema import (
    PROOF_PATTERN,
    CapacitySettings,
    CustomerSettings,
    ObjectivesSettings,
    WebAclSettings,
)
from constructs_lib.settings.sharing import shared_violations
from ops.drill.faults import FAULTS

pytestmark = pytest.mark.unit

PLAN = "rate_per_second = 10.0\nburst = 20\n"
ACME = 'name = "acme"\nplan = "gold"\n'
VALID = {
    "": 'regions = ["us-east-1", "us-west-2"]',
    "api": 'name = "weather"',
    "table": 'name = "weather"',
    "domain": 'zone_name = "example.com"\nrecord_name = "weather.example.com"',
    "health_check": "",
    "tags": "",
    "backend": 'type = "local"',
}
STRONG = 'name = "weather"\nconsistency = "strong"\n'
EU = '["eu-central-1", "eu-west-1", "eu-west-2"]'
WEIGHTED = VALID[""] + '\nrouting_policy = "weighted"\n'


def text_of(**changes: str | None) -> str:
    """A valid file with some sections replaced; `top` is the keys above all sections."""
    sections = VALID | {("" if k == "top" else k): v for k, v in changes.items()}
    return "\n".join(
        f"[{name}]\n{body}" if name else body for name, body in sections.items() if body is not None
    )


def errors_of(folder: Path, text: str, name: str = "bad.toml") -> list[str]:
    path = folder / name
    path.write_text(text)
    with pytest.raises(SettingsError) as raised:
        load(path)
    return [str(each) for each in raised.value.violations]


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_every_shipped_environment_is_valid(path):
    settings = load(path)

    assert settings.name == path.stem
    assert settings.primary_region == settings.regions[0]


@pytest.mark.parametrize("routing_policy", ["failover", "latency", "weighted"])
def test_every_routing_policy_takes_any_number_of_regions(routing_policy, tmp_path):
    for count in range(2, len(REGIONS) + 1):
        top = f'regions = {json.dumps(REGIONS[:count])}\nrouting_policy = "{routing_policy}"'
        (tmp_path / "many.toml").write_text(text_of(top=top))

        assert load(tmp_path / "many.toml").regions == tuple(REGIONS[:count])


def test_weights_are_by_region_and_one_may_be_0(tmp_path):
    path = tmp_path / "weighted.toml"
    path.write_text(text_of(top=WEIGHTED + "weights = { us-west-2 = 0, us-east-1 = 255 }"))

    assert load(path).weights == {"us-east-1": 255, "us-west-2": 0}


@pytest.mark.parametrize(
    ("rto_seconds", "health_check", "domain"),
    [
        (150, "", ""),
        (90, "interval_seconds = 10", ""),
        (20.0, "interval_seconds = 10\nfailure_threshold = 1", "\nttl_seconds = 10"),
    ],
)
def test_an_objective_that_the_profile_meets_is_taken(rto_seconds, health_check, domain, tmp_path):
    path = tmp_path / "trial.toml"
    path.write_text(
        text_of(
            objectives=OBJECTIVES.format(rto_seconds),
            health_check=health_check,
            domain=VALID["domain"] + domain,
        )
    )

    assert load(path).objectives.rto_seconds == rto_seconds


def test_every_fault_of_a_drill_can_be_named_as_a_proof():
    for name in FAULTS:
        assert re.match(PROOF_PATTERN, name)


def test_example_teaches_the_layout_for_production_and_the_default_is_the_one_for_trials(tmp_path):
    example = REPOSITORY / "environments" / "example.toml"
    (tmp_path / "trial.toml").write_text(text_of())

    assert load(example).layout == "regional"
    assert load(tmp_path / "trial.toml").layout == "single"


def test_example_teaches_every_key_and_its_defaults_are_the_defaults(tmp_path):
    # GIVEN the example, and a file with only what has no default
    example = load(REPOSITORY / "environments" / "example.toml")
    (tmp_path / "least.toml").write_text(
        text_of(api='name = "weather"', health_check=None, tags=None)
    )
    least = load(tmp_path / "least.toml")

    # THEN the example has every key
    text = (REPOSITORY / "environments" / "example.toml").read_text()
    sections = [example, example.api, example.table, example.domain, example.health_check,
                example.encryption, example.web_acl, example.monitoring, example.drills,
                example.objectives, example.backend,
                example.customers[0], *example.plans.values(), CapacitySettings()]  # fmt: skip
    for section in sections:
        for key in type(section).model_fields:
            # daily_quota is mentioned beside monthly_quota: a plan has one of the two.
            taught = (f"{key} = ", f"[{key}]", f"[{key}.", f"[[{key}]]", f"# or {key};")
            assert any(form in text for form in taught) or key == "name", key
    # AND what it calls a default is one
    for line in text.splitlines():
        if line.endswith("# default"):
            key = line.split(" = ")[0]
            holders = [
                least,
                least.api,
                least.table,
                least.domain,
                least.health_check,
                least.encryption,
                WebAclSettings(),
                least.drills,
                ObjectivesSettings(),
                CustomerSettings(name="a", plan="b"),
            ]
            (holder,) = [h for h in holders if key in type(h).model_fields and key != "name"]
            shown = line.split(" = ")[1].removesuffix("# default").strip().strip('"')
            assert str(getattr(holder, key)).lower().replace("(1,)", "[1]") == shown, key


OBJECTIVES = "rto_seconds = {}\n"
ERRORS = {
    "an objective that a failover cannot meet": (
        {"objectives": OBJECTIVES.format(149.9)},
        [
            "objectives.rto_seconds: got 149.9, and customers who follow DNS wait for 150 s = 30 s "
            "interval x 3 checks + 60 s time to live",
            "150 or more with these settings",
            "docs/how-to/recovery-time.md",
        ],
    ),
    "an objective below the fast profile": (
        {"objectives": OBJECTIVES.format(30), "health_check": "interval_seconds = 10"},
        ["objectives.rto_seconds: got 30, and customers", "90 s = 10 s interval x 3 checks"],
    ),
    "an objective of no time": (
        {"objectives": "rpo_seconds = -1"},
        ["objectives.rpo_seconds: got -1", "above 0"],
    ),
    "a proof of another form": (
        {"objectives": 'proofs = ["switch:"]'},
        ['objectives.proofs[0]: got "switch:"', "such as switch:us-west-2"],
    ),
    "a proof of another Region": (
        {"objectives": 'proofs = ["switch:us-west-2", "switch:us-east-1+eu-west-1"]'},
        ['proofs[1]: got "switch:us-east-1+eu-west-1", and eu-west-1 is none of regions'],
    ),
    "a proof twice": (
        {"objectives": 'proofs = ["switch", "switch"]'},
        ['objectives.proofs[1]: duplicate proof "switch"'],
    ),
    "proofs of no days": (
        {"objectives": "proof_days = 0"},
        ["objectives.proof_days: got 0", "a whole number from 1 to 3650"],
    ),
    "one region only": (
        {"top": 'regions = ["us-east-1"]'},
        ["regions: got", "two or more different AWS Regions"],
    ),
    "unknown region": (
        {"top": 'regions = ["us-esat-1", "us-west-2"]'},
        ['regions[0]: got "us-esat-1"', "not a Region of the partition aws"],
    ),
    "region that the provider refuses": (
        {"top": 'regions = ["us-east-1", "ap-southeast-6"]'},
        ['regions[1]: got "ap-southeast-6"', "version 5.100.0 of the AWS provider refuses"],
    ),
    "rate above the quota of a Region": (
        {
            "top": 'regions = ["us-east-1", "mx-central-1"]',
            "api": 'name = "w"\nrate_per_second = 2500.1',
        },
        ["api.rate_per_second: got 2500.1, more than 2500", "in mx-central-1"],
    ),
    "burst above the quota of a Region": (
        {"top": 'regions = ["eu-south-1", "us-east-1"]', "api": 'name = "w"\nburst = 1251'},
        ["api.burst: got 1251, more than 1250", "at most 1250 with eu-south-1"],
    ),
    "region of another partition": (
        {"top": 'regions = ["us-east-1", "cn-north-1"]'},
        ['regions[1]: got "cn-north-1"'],
    ),
    "region twice": (
        {"top": 'regions = ["us-east-1", "us-east-1"]'},
        ['regions[1]: duplicate Region "us-east-1"', "losing one must leave the other"],
    ),
    "regions no list": (
        {"top": 'regions = "us-east-1"'},
        ['regions: got "us-east-1"', 'for example regions = ["us-east-1", "us-west-2"]'],
    ),
    "witness without strong consistency": (
        {"table": 'name = "weather"\nwitness_region = "us-east-2"'},
        ['table.witness_region: is "us-east-2", and consistency is not "strong"', "remove it"],
    ),
    "two strong regions and no witness": (
        {"table": STRONG},
        [
            "table.witness_region: is missing: us-east-1 and us-west-2 alone cannot agree",
            "exactly three Regions, or two and a witness",
            "name one, or add a third Region to regions",
        ],
    ),
    "three strong regions and a witness": (
        {"top": f"regions = {EU}", "table": STRONG + 'witness_region = "eu-west-3"'},
        ['table.witness_region: is "eu-west-3", and three Regions have replicas', "remove it"],
    ),
    "four strong regions": (
        {
            "top": 'regions = ["eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1"]',
            "table": STRONG,
        },
        ["regions: has 4 Regions", 'leave the table in three, or set consistency = "eventual"'],
    ),
    "witness with a replica": (
        {"table": STRONG + 'witness_region = "us-west-2"'},
        ['table.witness_region: "us-west-2" is one of regions', "a Region without a replica"],
    ),
    "strong regions of two sets": (
        {"top": 'regions = ["us-east-1", "us-east-2", "eu-west-1"]', "table": STRONG},
        [
            'regions[2]: "eu-west-1" is of the Region set EU, and "us-east-1" of US',
            "choose one of us-east-1, us-east-2, us-west-2",
        ],
    ),
    "witness of another set": (
        {"table": STRONG + 'witness_region = "ap-northeast-1"'},
        ['table.witness_region: "ap-northeast-1" is of the Region set AP'],
    ),
    "region without strong consistency": (
        {"top": 'regions = ["eu-north-1", "eu-west-1", "eu-west-2"]', "table": STRONG},
        [
            'regions[0]: "eu-north-1" has no strongly consistent tables',
            "EU: eu-central-1, eu-west-1",
        ],
    ),
    "unknown consistency": (
        {"table": 'name = "weather"\nconsistency = "STRONG"'},
        ['table.consistency: got "STRONG"', '"eventual" or "strong"'],
    ),
    "recovery of a zone that is looked up": (
        {"domain": VALID["domain"] + "\naccelerated_recovery = true"},
        [
            "domain.accelerated_recovery: is true, and create_zone is false",
            "aws route53 update-hosted-zone-features --enable-accelerated-recovery",
        ],
    ),
    "weights with failover": (
        {"top": VALID[""] + "\nweights = { us-east-1 = 1, us-west-2 = 1 }"},
        ['weights: is set, and routing_policy is "failover"', 'set routing_policy = "weighted"'],
    ),
    "manual failback with latency": (
        {"top": VALID[""] + '\nrouting_policy = "latency"\nfailback = "manual"'},
        [
            'failback: got "manual", and routing_policy is "latency"',
            'with routing_policy = "failover" only',
            'set failback = "automatic"',
        ],
    ),
    "unknown failback": (
        {"top": VALID[""] + '\nfailback = "never"'},
        ['failback: got "never"', '"automatic" or "manual"'],
    ),
    "weight of another region": (
        {"top": WEIGHTED + "weights = { us-east-1 = 1, us-west-2 = 1, eu-west-1 = 1 }"},
        ["weights.eu-west-1: got a weight of eu-west-1", "none of regions", "remove it"],
    ),
    "no weight of a region": (
        {"top": WEIGHTED + "weights = { us-east-1 = 90 }"},
        ["weights.us-west-2: is missing", "add us-west-2 = 1, or 0 for a Region that serves only"],
    ),
    "every weight 0": (
        {"top": WEIGHTED + "weights = { us-east-1 = 0, us-west-2 = 0 }"},
        ["weights: every weight is 0", "one weight above 0", "or remove weights"],
    ),
    "weight too high": (
        {"top": WEIGHTED + "weights = { us-east-1 = 256, us-west-2 = 1 }"},
        ["weights.us-east-1: got 256", "a whole number from 0 to 255"],
    ),
    "weight below 0": (
        {"top": WEIGHTED + "weights = { us-east-1 = -1, us-west-2 = 1 }"},
        ["weights.us-east-1: got -1"],
    ),
    "weight not a whole number": (
        {"top": WEIGHTED + "weights = { us-east-1 = 0.5, us-west-2 = 1 }"},
        ["weights.us-east-1: got 0.5"],
    ),
    "weights as a list": (
        {"top": WEIGHTED + "weights = [90, 10]"},
        ["weights: (90, 10) is not a table", "for example weights = { us-east-1 = 90"],
    ),
    "unknown routing": (
        {"top": VALID[""] + '\nrouting_policy = "random"'},
        ['routing_policy: got "random"', '"failover", "latency" or "weighted"'],
    ),
    "account id too short": (
        {"top": VALID[""] + '\nallowed_account_ids = ["123"]'},
        ['allowed_account_ids[0]: got "123"', "12-digit account ids"],
    ),
    "unknown top-level key": (
        {"top": VALID[""] + "\nregion = 1"},
        ["region: is not a setting", "write regions instead"],
    ),
    "stack name in the file": (
        {"top": VALID[""] + '\nname = "x"'},
        ["name: is not a setting"],
    ),
    "unknown key with a near one": (
        {"api": 'name = "weather"\nstge = "v1"'},
        ["api.stge: is not a setting", "write stage instead"],
    ),
    "two quotas": (
        {"plans.gold": PLAN + "monthly_quota = 10\ndaily_quota = 1"},
        ["plans.gold: has a monthly and a daily quota", "remove monthly_quota or daily_quota"],
    ),
    "plan above the method": (
        {"plans.gold": "rate_per_second = 101.0\nburst = 5"},
        ["plans.gold.rate_per_second: got 101.0, more than 100.0", "at most api.rate_per_second"],
    ),
    "unknown key of a plan": (
        {"plans.gold": PLAN + "brust = 1"},
        ["plans.gold.brust: is not a setting", "write burst instead"],
    ),
    "key of a plan missing": (
        {"plans.gold": "burst = 5"},
        ["plans.gold.rate_per_second: is missing", "set the rate that is sold"],
    ),
    "name of a plan": (
        {"plans.Gold_Plan": PLAN},
        ["plans.Gold_Plan", "300 tables [plans.<name>]"],
    ),
    "unknown plan": (
        {"plans.gold": PLAN, "[customers]": 'name = "acme"\nplan = "god"'},
        ['customers[0].plan: unknown plan "god"', "one of: gold"],
    ),
    "customer twice": (
        {"plans.gold": PLAN, "[customers]": ACME + f"[[customers]]\n{ACME}"},
        ['customers[1].name: duplicate name "acme"'],
    ),
    "customer's name": (
        {"plans.gold": PLAN, "[customers]": 'name = "Acme Inc."\nplan = "gold"'},
        ['customers[0].name: got "Acme Inc."', "1 to 32 lowercase letters"],
    ),
    "three keys": (
        {"plans.gold": PLAN, "[customers]": ACME + "keys = [1, 2, 3]"},
        ["customers[0].keys: got [1, 2, 3]", "one or two different whole numbers"],
    ),
    "one key twice": (
        {"plans.gold": PLAN, "[customers]": ACME + "keys = [4, 4]"},
        ["customers[0].keys: duplicate number 4", "give the new key the next number"],
    ),
    "unknown key of a customer": (
        {"plans.gold": PLAN, "[customers]": ACME + "plam = 1"},
        ["customers[0].plam: is not a setting", "write plan instead"],
    ),
    "too many customers": (
        {
            "plans.gold": PLAN,
            "[customers]": "\n[[customers]]\n".join(
                f'name = "c{number}"\nplan = "gold"' for number in range(1001)
            ),
        },
        ["customers: got", "up to 1000 tables [[customers]]"],
    ),
    "customers is one table": (
        {"plans.gold": PLAN, "customers": ACME},
        ["customers: got", "tables [[customers]]"],
    ),
    "closed endpoint that health checks call": (
        {"api": VALID["api"] + "\nexecute_api_endpoint = false"},
        [
            "api.execute_api_endpoint: false closes the host name that health checks call",
            "set regional_names = true in [domain]",
        ],
    ),
    "regional name too long for a certificate": (
        {
            "domain": 'zone_name = "example.com"\nregional_names = true\n'
            f'record_name = "{"w" * 45}.example.com"'
        },
        ["domain.regional_names:", "names of up to 64 characters"],
    ),
    "time to live of more than an alias record": (
        {"domain": VALID["domain"] + "\nttl_seconds = 61"},
        [
            "domain.ttl_seconds: got 61",
            "a whole number from 1 to 60",
            "set ttl_seconds = 60, or 10",
        ],
    ),
    "no time to live": (
        {"domain": VALID["domain"] + "\nttl_seconds = 0"},
        ["domain.ttl_seconds: got 0"],
    ),
    "CNAME at the apex": (
        {
            "domain": 'zone_name = "example.com"\nrecord_name = "example.com"\nttl_seconds = 10',
        },
        [
            'domain.ttl_seconds: got 10, which takes a CNAME record, and "example.com" is the apex',
            'set ttl_seconds = 60, or for example record_name = "api.example.com"',
        ],
    ),
    "no concurrency to reserve": (
        {"health_check": "reserved_concurrency = 0"},
        ["health_check.reserved_concurrency: got 0", "1 to 450"],
    ),
    "rate of an address": (
        {"web_acl": "requests_per_five_minutes = 5"},
        ["web_acl.requests_per_five_minutes: got 5", "10 to 2000000000"],
    ),
    "mails without alarms": (
        {"monitoring": 'emails = ["a@example.com"]'},
        ["monitoring.emails: is set, but there are no alarms", "set alarms = true"],
    ),
    "no mail address": (
        {"monitoring": 'alarms = true\nemails = ["on-call"]'},
        ['monitoring.emails[0]: got "on-call"', "a list of e-mail addresses"],
    ),
    "mail address twice": (
        {"monitoring": 'alarms = true\nemails = ["a@example.com", "A@example.com"]'},
        ['monitoring.emails[1]: duplicate address "a@example.com"', "remove one of the two"],
    ),
    "an expression in a mail address": (
        {"monitoring": 'alarms = true\nemails = ["${path.cwd}@example.com"]'},
        ["monitoring.emails[0]: got", "in ASCII"],
    ),
    "an expression in the key of the state": (
        {"backend": 'type = "s3"\nbucket = "abc"\nkey = "${path.cwd}"\nregion = "us-west-2"'},
        ["backend.key: got", "parts that single slashes join"],
    ),
    "key of the state that ends in a slash": (
        {"backend": 'type = "s3"\nbucket = "abc"\nkey = "a/"\nregion = "us-west-2"'},
        ['backend.key: got "a/"'],
    ),
    "bucket with two dots": (
        {"backend": 'type = "s3"\nbucket = "a..b"\nkey = "k"\nregion = "us-west-2"'},
        ['backend.bucket: got "a..b"', "parts that dots join"],
    ),
    "section missing": ({"table": None}, ["table: is missing", "add [table]"]),
    "section is a value": (
        {"top": VALID[""] + "\ntable = 3", "table": None},
        ["table: 3 is not a table"],
    ),
    "api name in capitals": (
        {"api": 'name = "Weather"'},
        ['api.name: got "Weather"', "lowercase letters"],
    ),
    "api name missing": ({"api": ""}, ["api.name: is missing"]),
    "stage with a slash": ({"api": 'name = "w"\nstage = "v/1"'}, ['api.stage: got "v/1"']),
    "rate as text": (
        {"api": 'name = "w"\nrate_per_second = "100"'},
        ['api.rate_per_second: got "100"', "a number above 0"],
    ),
    "rate zero": ({"api": 'name = "w"\nrate_per_second = 0.0'}, ["api.rate_per_second: got 0.0"]),
    "burst as truth": ({"api": 'name = "w"\nburst = true'}, ["api.burst: got true"]),
    "retention that CloudWatch does not know": (
        {"api": 'name = "w"\nlog_retention_days = 29'},
        ["api.log_retention_days: got 29", "next longer"],
    ),
    "truth as text": (
        {"api": 'name = "w"\ntracing = "yes"'},
        ['api.tracing: got "yes"', "without quotes"],
    ),
    "table name too short": ({"table": 'name = "ab"'}, ['table.name: got "ab"', "3 to 255"]),
    "zone with a trailing dot": (
        {"domain": 'zone_name = "example.com."\nrecord_name = "weather.example.com"'},
        ['domain.zone_name: got "example.com."', "without a trailing dot"],
    ),
    "record outside of the zone": (
        {"domain": 'zone_name = "example.com"\nrecord_name = "weather.example.org"'},
        ["is not within the zone", 'record_name = "api.example.com"'],
    ),
    "record that only ends like the zone": (
        {"domain": 'zone_name = "example.com"\nrecord_name = "badexample.com"'},
        ['"badexample.com" is not within the zone "example.com"'],
    ),
    "record longer than a certificate takes": (
        {"domain": f'zone_name = "example.com"\nrecord_name = "{"a" * 60}.example.com"'},
        ["domain.record_name: got", "up to 64 characters"],
    ),
    "interval between": (
        {"health_check": "interval_seconds = 15"},
        ["health_check.interval_seconds: got 15", "30 (standard) or 10 (fast"],
    ),
    "threshold too high": (
        {"health_check": "failure_threshold = 11"},
        ["health_check.failure_threshold: got 11", "1 to 10"],
    ),
    "reserved tag": ({"tags": '"aws:x" = "y"'}, ["tags.aws:x", "do not start with aws:"]),
    "a ninth tag": (
        {"tags": "\n".join(f'tag{n} = "x"' for n in range(9))},
        ['tags: got {"tag0"', "up to 8 pairs", "Route 53 takes 10 tags"],
    ),
    "tag keys that differ in case only": (
        {"tags": 'team = "a"\nTEAM = "b"'},
        ["tags.TEAM: differs from team in case only", "remove TEAM or team"],
    ),
    "a tag of the stack's own in another case": (
        {"tags": 'Environment = "production"'},
        ["tags.Environment: is a tag that the stack sets itself: environment", "IAM ignores"],
    ),
    "a tag of the stack's own": (
        {"tags": 'environment = "production"'},
        ["tags.environment: is a tag that the stack sets itself", "remove it"],
    ),
    "combining marks in the key of a tag": (
        {"tags": '"हिन्दी" = "x"'},
        ["tags.हिन्दी: got", "without combining marks"],
    ),
    "an undertie in the value of a tag": ({"tags": 'team = "a‿b"'}, ['tags.team: got "a‿b"']),
    "account id in other digits": (
        {"top": VALID[""] + '\nallowed_account_ids = ["١١١١٢٢٢٢٣٣٣٣"]'},
        ["allowed_account_ids[0]: got"],
    ),
    "tag with a number": ({"tags": "team = 3"}, ["tags.team: got 3"]),
    "unknown backend": ({"backend": 'type = "gcs"'}, ["backend", '"local" or type = "s3"']),
    "backend without a type": ({"backend": ""}, ["backend: is missing"]),
    "s3 without a bucket": (
        {"backend": 'type = "s3"\nkey = "k"\nregion = "us-west-2"'},
        ["backend.bucket: is missing"],
    ),
    "state in the primary region": (
        {"backend": 'type = "s3"\nbucket = "abc"\nkey = "k"\nregion = "us-east-1"'},
        ['backend.region: "us-east-1" is the primary Region', "us-west-2"],
    ),
    "state of a stack for each region in the other region": (
        {
            "top": VALID[""] + '\nlayout = "regional"',
            "backend": 'type = "s3"\nbucket = "abc"\nkey = "k"\nregion = "us-west-2"',
        },
        ['backend.region: "us-west-2" is one of regions', 'layout = "single"'],
    ),
    "unknown layout": (
        {"top": VALID[""] + '\nlayout = "global"'},
        ['layout: got "global"', '"single" or "regional"'],
    ),
    "state in no region": (
        {"backend": 'type = "s3"\nbucket = "abc"\nkey = "k"\nregion = "mars-1"'},
        ['backend.region: got "mars-1"'],
    ),
}


@pytest.mark.parametrize(("changes", "expected"), ERRORS.values(), ids=ERRORS.keys())
def test_an_error_names_the_key_the_value_and_the_fix(tmp_path, changes, expected):
    # GIVEN a file with one error / WHEN it is loaded
    errors = errors_of(tmp_path, text_of(**changes))

    # THEN that error, and only that, is reported with its fix
    assert len(errors) == 1, errors
    for part in (*expected, "Fix: "):
        assert part in errors[0]


def test_all_errors_of_a_file_are_reported_at_once(tmp_path):
    errors = errors_of(
        tmp_path,
        text_of(
            top='regions = ["us-east-1", "us-east-1"]',
            api='name = "W"\nburst = 0',
            domain='zone_name = "example.com"\nrecord_name = "weather.example.org"',
            health_check="interval_seconds = 1",
        ),
    )

    assert len(errors) == 5


@pytest.mark.parametrize("text", ["équipe", "团队", "プラットフォーム", "a b_.:/=+-@9", "", "½"])
def test_tags_may_be_in_every_alphabet_that_needs_no_combining_marks(tmp_path, text):
    path = tmp_path / "good.toml"
    path.write_text(text_of(tags=f'"x{text}" = "{text}"'), encoding="utf-8")

    assert load(path).tags == {f"x{text}": text}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("regions = [", "not a TOML file"), ("\udcff", "not a TOML file")],
    ids=["syntax", "encoding"],
)
def test_a_file_that_is_not_toml_is_one_error(tmp_path, text, expected):
    path = tmp_path / "bad.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(SettingsError, match=expected):
        load(path)


def test_a_missing_file_names_the_environments_there_are(tmp_path):
    (tmp_path / "staging.toml").touch()

    with pytest.raises(SettingsError, match=r"the environment file does not exist[\s\S]*staging"):
        load(tmp_path / "production.toml")


def test_a_file_name_that_cannot_name_a_stack_is_an_error(tmp_path):
    assert "cannot name a stack" in errors_of(tmp_path, text_of(), name="Pre Prod.toml")[0]


def test_the_regions_are_those_that_the_aws_sdk_knows():
    text = (Path(botocore.__file__).parent / "data" / "partitions.json").read_text()
    (commercial,) = [p for p in json.loads(text)["partitions"] if p["id"] == "aws"]

    known = {*REGIONS, *REGIONS_NEWER_THAN_THE_PROVIDER}
    assert known == set(commercial["regions"]) - {"aws-global"}
    assert set(REGIONS) > SMALLER_QUOTA_REGIONS


def test_a_folder_with_the_name_of_a_file_is_an_error_with_a_fix(tmp_path):
    (tmp_path / "bad.toml").mkdir()

    with pytest.raises(SettingsError, match=r"cannot be read: Is a directory[\s\S]*Fix: rename"):
        load(tmp_path / "bad.toml")


ZONE = 'zone_name = "example.com"\nrecord_name = "{}.example.com"\ncreate_zone = true'


def two_environments(folder, *bodies):
    paths = [folder / f"{name}.toml" for name in ("first", "second")]
    for path, body in zip(paths, bodies, strict=True):
        path.write_text(text_of(**body))
    return [(name, str(error)) for name, error in shared_violations([*map(load, paths)])]


def in_account(id):
    return f'{VALID[""]}\nallowed_account_ids = ["{id}"]'


@pytest.mark.parametrize("accounts", [("111122223333",) * 2, ("111122223333", "444455556666")])
def test_one_zone_name_is_created_by_one_environment_of_whatever_account(tmp_path, accounts):
    (found,) = two_environments(
        tmp_path,
        *(
            {"top": in_account(id), "domain": ZONE.format(name), "table": f'name = "t-{name}"'}
            for id, name in zip(accounts, ("a", "b"), strict=True)
        ),
    )

    assert found[0] == "second"
    assert 'the environment first creates a zone "example.com", too' in found[1]
    assert "set create_zone = false" in found[1]


def test_a_zone_of_the_sandbox_is_nobody_elses(tmp_path):
    sandbox = {"top": in_account("000000000000"), "domain": ZONE.format("api")}
    aws = {"top": in_account("111122223333"), "domain": ZONE.format("api")}

    assert two_environments(tmp_path, sandbox, aws) == []


def test_the_log_role_of_an_account_is_managed_by_one_environment(tmp_path):
    bodies = (
        {
            "api": 'name = "weather"\nmanage_account_log_role = true',
            "table": f'name = "t-{name}"',
            "domain": f'zone_name = "example.com"\nrecord_name = "{name}.example.com"',
        }
        for name in ("a", "b")
    )

    (found,) = two_environments(tmp_path, *bodies)

    assert (
        "api.manage_account_log_role: the environment first manages the role in us-east-1"
        in (found[1])
    )


def test_names_of_two_environments_do_not_begin_alike(tmp_path):
    """The names of roles and functions begin with the API's and the environment's, joined."""
    first, second = tmp_path / "b-c.toml", tmp_path / "c.toml"
    for path, api in ((first, "a"), (second, "a-b")):
        path.write_text(
            text_of(
                api=f'name = "{api}"',
                table=f'name = "table-{api}"',
                domain=f'zone_name = "example.com"\nrecord_name = "{api}.example.com"',
            )
        )

    ((name, error),) = shared_violations([load(first), load(second)])

    assert name == "c"
    assert 'api.name: "a-b-c" is also what the environment b-c uses' in str(error)


def of_its_own(name, layout, key):
    return text_of(
        top=f'{VALID[""]}\nlayout = "{layout}"',
        table=f'name = "t-{name}"',
        domain=f'zone_name = "example.com"\nrecord_name = "{name}.example.com"',
        backend=f'type = "s3"\nbucket = "abc"\nkey = "{key}"\nregion = "eu-west-1"',
    )


@pytest.mark.parametrize("part", ["data", "routing", "us-east-1"])
def test_no_stack_of_an_environment_is_another_environment(tmp_path, part):
    first, second = tmp_path / f"prod-{part}.toml", tmp_path / "prod.toml"
    first.write_text(of_its_own("a", "single", "a.tfstate"))
    second.write_text(of_its_own("b", "regional", "b.tfstate"))

    ((name, error),) = shared_violations([load(first), load(second)])

    assert name == "prod"
    assert f'layout: the stack "prod-{part}" is also one of the environment prod-{part}' in str(
        error
    )


def test_no_state_of_a_stack_is_another_environments(tmp_path):
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text(of_its_own("a", "single", "prod-us-west-2.tfstate"))
    second.write_text(of_its_own("b", "regional", "prod.tfstate"))

    ((name, error),) = shared_violations([load(first), load(second)])

    assert name == "b"
    assert 'backend.key: "prod-us-west-2.tfstate" is also what the environment a uses' in str(error)


@pytest.mark.parametrize(
    ("regions", "witness"),
    [
        (["us-east-1", "us-west-2", "us-east-2"], ""),
        (["ap-northeast-1", "ap-northeast-3"], "ap-northeast-2"),
        (["eu-central-1", "eu-west-3", "eu-west-2"], ""),
    ],
)
def test_strong_consistency_takes_three_regions_of_a_set(tmp_path, regions, witness):
    table = STRONG + (f'witness_region = "{witness}"' if witness else "")
    (tmp_path / "strong.toml").write_text(
        text_of(top=f"regions = {json.dumps(regions)}", table=table)
    )

    settings = load(tmp_path / "strong.toml")

    assert settings.table.consistency == "strong"
    assert settings.table.witness_region == (witness or None)


def test_the_queries_for_a_zone_are_logged_by_one_environment(tmp_path):
    logged = VALID["domain"] + "\nquery_logging = true"
    texts = {
        "one": text_of(domain=logged),
        "two": text_of(domain=logged.replace("weather.ex", "other.ex"), api='name = "other"',
                       table='name = "other"'),
        "elsewhere": text_of(top=VALID[""] + '\nallowed_account_ids = ["111122223333"]',
                             domain=logged),
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / f"{name}.toml").write_text(text)
    one, two, elsewhere = (load(tmp_path / f"{name}.toml") for name in texts)
    other = elsewhere.model_copy(update={"allowed_account_ids": ("444455556666",)})

    ((name, violation),) = shared_violations([one, two])
    assert (name, violation.key) == ("two", "domain.query_logging")
    assert 'the environment one logs the queries for the zone "example.com", too' in str(violation)
    assert [*shared_violations([elsewhere, other.model_copy(update={"name": "other"})])] == []
