"""Destroy, on a deployment of its own: nothing of the stack stays in either Region."""

import pytest
from deployment import left_over
from local_api import Api

from sandbox.workspace import Workspace

pytestmark = pytest.mark.e2e


@pytest.fixture
def own_api(tmp_path):
    api = Api(Workspace(tmp_path))
    try:
        api.up()
        yield api
    finally:
        api.down()


def test_destroy_leaves_nothing(own_api):
    # GIVEN a deployment that is all there
    assert all(found for _, found in left_over(own_api))

    # WHEN it is destroyed
    destroyed = own_api.terraform("destroy", "-auto-approve", "-input=false", "-no-color")

    # THEN nothing is left but a state without resources
    assert destroyed.returncode == 0, destroyed.stderr
    assert [(kind, found) for kind, found in left_over(own_api) if found] == []
    assert own_api.terraform("state", "list").stdout == ""
