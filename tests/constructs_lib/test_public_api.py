import subprocess
import sys

import pytest
from repository_files import REPOSITORY

import constructs_lib

pytestmark = pytest.mark.unit


def test_every_public_name_is_found_where_it_is_defined():
    listed = {name for names in constructs_lib._MODULES.values() for name in names}

    assert listed == set(constructs_lib.__all__)
    for module, names in constructs_lib._MODULES.items():
        for name in names:
            assert getattr(constructs_lib, name).__module__.startswith(f"constructs_lib.{module}")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'constructs_lib' has no attribute 'Stack'"):
        constructs_lib.Stack  # noqa: B018


def test_plain_values_load_neither_cdktf_nor_the_bindings():
    names = "Authorization, HostNames, Operation, Outputs, Settings, load"
    program = f"from constructs_lib import {names}; import sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY,
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    loaded = done.stdout.split()
    assert not [name for name in loaded if name.startswith(("cdktf", "jsii", "boto"))]
