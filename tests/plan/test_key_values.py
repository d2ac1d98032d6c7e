"""The validation of the variable that brings the values of API keys, by the real Terraform."""

import json
import os
import subprocess

import pytest
from synthesis import Synthesized, new_stack

from constructs_lib import Customer
from constructs_lib.customer_access import KEYS_VARIABLE, key_values
from ops.key_values import VARIABLE

pytestmark = pytest.mark.plan

A, B, C = "a" * 20, "b" * 20, "c" * 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A configuration with nothing but the variable."""
    folder = tmp_path_factory.mktemp("variable")
    stack = new_stack()
    key_values(stack, [Customer("acme", "gold", ("acme-1", "acme-2"))], environment="trial")
    variables = Synthesized(stack).json["variable"]
    (folder / "variable.tf.json").write_text(json.dumps({"variable": variables}))
    return folder


def errors_of(folder, values):
    done = subprocess.run(
        ["terraform", "plan", "-no-color", "-input=false", "-lock=false"],
        cwd=folder,
        env={**os.environ, VARIABLE: json.dumps(values), "CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
    )
    return " ".join(done.stderr.split()) if done.returncode else ""


@pytest.mark.parametrize(
    "values",
    [
        {"trial": {"acme-1": A, "acme-2": B}},
        {"trial": {"acme-1": A, "acme-2": B, "gone-1": C}, "other": {"acme-1": C}},
    ],
    ids=["own only", "others share a value among themselves"],
)
def test_different_values_are_accepted(folder, values):
    assert errors_of(folder, values) == ""


@pytest.mark.parametrize(
    "values",
    [
        {"trial": {"acme-1": A, "acme-2": A}},
        {"trial": {"acme-1": A, "acme-2": B, "gone-1": A}},
        {"trial": {"acme-1": A, "acme-2": B}, "other": {"zeta-1": B}},
    ],
    ids=["two keys", "a key that is gone", "a key of another environment"],
)
def test_a_value_of_two_keys_is_refused_before_anything_is_changed(folder, values):
    errors = errors_of(folder, values)

    assert "Two keys have the same value" in errors
    assert f"var.{KEYS_VARIABLE}" in errors
    assert A not in errors
    assert B not in errors
