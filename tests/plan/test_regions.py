"""The Regions that the settings allow, and those that they refuse, asked of the real provider."""

import json
import os
import subprocess

import pytest

from constructs_lib.settings.regions import (
    REGIONS,
    REGIONS_NEWER_THAN_THE_PROVIDER,
    TESTED_PROVIDER,
)

pytestmark = pytest.mark.plan

NEWEST = ("ap-east-2", "ap-southeast-7", "mx-central-1")
"""Where the provider could be too old for a Region, if anywhere."""


def plan(folder, *regions):
    """What a plan in these Regions prints; nothing is asked of AWS."""
    provider = {"access_key": "x", "secret_key": "x", "skip_credentials_validation": True,
                "skip_requesting_account_id": True, "skip_metadata_api_check": True}  # fmt: skip
    version = {"source": "hashicorp/aws", "version": TESTED_PROVIDER}
    document = {
        "terraform": {"required_providers": {"aws": version}},
        "provider": {"aws": [provider | {"alias": r, "region": r} for r in regions]},
        "data": {"aws_region": {region: {"provider": f"aws.{region}"} for region in regions}},
    }
    (folder / "regions.tf.json").write_text(json.dumps(document))
    variables = {name: v for name, v in os.environ.items() if not name.startswith("AWS_")}
    for arguments in (("init",), ("plan",)):
        done = subprocess.run(
            ["terraform", *arguments, "-no-color", "-input=false"],
            cwd=folder,
            env={**variables, "CHECKPOINT_DISABLE": "1"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            break
    return done


@pytest.mark.parametrize(
    "regions",
    [
        pytest.param(NEWEST, id="newest"),
        pytest.param(REGIONS, id="all", marks=pytest.mark.soak),
    ],
)
def test_the_tested_provider_knows_the_regions_that_the_settings_allow(tmp_path, regions):
    assert set(regions) <= set(REGIONS)

    done = plan(tmp_path, *regions)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("region", REGIONS_NEWER_THAN_THE_PROVIDER)
def test_a_region_that_the_settings_refuse_is_refused_by_the_tested_provider(tmp_path, region):
    done = plan(tmp_path, region)

    assert f"invalid AWS Region: {region}" in done.stderr
