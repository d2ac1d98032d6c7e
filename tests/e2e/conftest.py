"""Sandboxes that tests share: brought up once, checked before each test, replaced if broken."""

import re
import shutil
from contextlib import ExitStack

import pytest
from botocore.credentials import Credentials
from browser import Browser, driver
from local_api import IDLE_SPEED, REGIONS, SPEED, Api, left_of, run_sandbox, variant
from prerequisites import require_chromium
from repository_files import REPOSITORY
from warm_ops import WarmOps

from sandbox.workspace import Workspace


@pytest.fixture(scope="session")
def shared_api(tmp_path_factory):
    yield from _running(Api(Workspace(tmp_path_factory.mktemp("local"))))


@pytest.fixture(scope="session")
def hardened_environments(tmp_path_factory):
    """A folder with the hardened environment file, to edit."""
    folder = tmp_path_factory.mktemp("environments")
    shutil.copy(REPOSITORY / "tests" / "hardened" / "local.toml", folder)
    return folder


@pytest.fixture(scope="session")
def shared_hardened(tmp_path_factory, hardened_environments):
    variables = {"FAILOVER_ENVIRONMENTS": str(hardened_environments)}
    workspace = Workspace(tmp_path_factory.mktemp("hardened"))
    yield from _running(Api(workspace, ("--iam-enforced",), variables))


def _running(api):
    try:
        try:
            api.up()
        except AssertionError as error:
            # Hundreds of tests share it: what keeps one `up` from ending must not fail them all.
            print(f"the sandbox is replaced: {error}")
            api.replace()
        yield api
    finally:
        api.down()
    # Whatever the tests did with it, and whichever of them failed.
    assert left_of(api.workspace) == []


@pytest.fixture(scope="module")
def api(shared_api):
    """The API in a sandbox."""
    shared_api.replace_unless_healthy()
    return shared_api


@pytest.fixture
def environment(api):
    """What the operator's commands know of it."""
    return api.local.environment


@pytest.fixture(scope="module")
def hardened(shared_hardened):
    """The API with every option of hardening, in a sandbox that checks signatures and policies."""
    shared_hardened.replace_unless_healthy()
    return shared_hardened


@pytest.fixture
def credentials(hardened):
    """Of a publisher of the hardened API; the sandbox does not check signatures with its own."""
    iam, policy = hardened.client("iam", REGIONS[0]), hardened.outputs.publisher_policy_arn
    iam.create_user(UserName="publisher")
    iam.attach_user_policy(UserName="publisher", PolicyArn=policy)
    key = iam.create_access_key(UserName="publisher")["AccessKey"]
    yield Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    iam.delete_access_key(UserName="publisher", AccessKeyId=key["AccessKeyId"])
    iam.detach_user_policy(UserName="publisher", PolicyArn=policy)
    iam.delete_user(UserName="publisher")


@pytest.fixture(scope="module")
def own_sandbox(tmp_path_factory):
    """Brings up a module's own sandbox of another environment, in the place of the one before."""
    with ExitStack() as stack:

        def up(variables=None, **settings):
            stack.close()
            variables = variables or variant(tmp_path_factory.mktemp("environments"), **settings)
            api = Api(Workspace(tmp_path_factory.mktemp("sandbox")), variables=variables)
            # Also of one that did not come up.
            stack.callback(lambda: api.down())
            api.up()
            return api

        yield up


@pytest.fixture(scope="module")
def regional_variables(tmp_path_factory):
    """What makes the environment `local` one of several stacks."""
    # The log of the zone's queries is in the stack that has the zone.
    return variant(
        tmp_path_factory.mktemp("environments"), layout="regional", domain={"query_logging": True}
    )


@pytest.fixture(scope="module")
def regional(own_sandbox, regional_variables):
    """A module's own sandbox with the layout `regional`."""
    api = own_sandbox(regional_variables)
    # At full speed, a busy machine makes a healthy Region miss its checks: a failover.
    api.set_speed(IDLE_SPEED)
    return api


@pytest.fixture(autouse=True)
def healthy(request):
    """A test begins on a healthy sandbox, whatever the last one did."""
    names = {"api", "hardened"} & {*request.fixturenames}
    shared = [request.getfixturevalue(name) for name in names]
    for each in shared:
        each.replace_unless_healthy()
        each.set_speed(SPEED if "full_speed" in request.fixturenames else IDLE_SPEED)
    yield
    # A drill ends at full speed, and the sandbox is there until the last test of all.
    for each in shared:
        each.rest()


@pytest.fixture
def full_speed():
    """Asked for by a test that waits for health checks or DNS."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    require_chromium()
    with driver() as url:
        browser = Browser(url, tmp_path_factory.mktemp("profile"))
        yield browser
        browser.close()


@pytest.fixture
def commands(tmp_path):
    """Starts commands in processes of their own."""
    folder = tmp_path / "output"
    folder.mkdir()
    with WarmOps(folder) as warm:
        yield warm


@pytest.fixture
def opened(api):
    """`up --open` of an API that runs, and the URL that it prints."""
    ran = api.workspace.noted().programs["endpoints"]
    # A browser that shows nothing, wherever this runs.
    up = run_sandbox("up", "--open", "--folder", str(api.workspace.folder), BROWSER="true")
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        # What ran before runs on.
        assert api.workspace.noted().programs["endpoints"] == ran
        yield up.stdout, re.search(r"clear them: (\S+)", up.stdout)[1]
    finally:
        if page := api.workspace.noted().programs.get("page"):
            page.stop()
    # The page clears what it has injected.
    assert api.local.environment.fault_injection.faults() == ()
