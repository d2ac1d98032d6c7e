"""Roles with nothing but the generated policies do their work in a sandbox that enforces IAM.

What they call is compared with `tests/recorded_actions.json`, which `RECORD_ACTIONS=1` writes anew.
What the local AWS does not authorize (KMS on behalf of other services, service-linked roles) is not
proven here; `tests/ops/test_iam_policy.py` names it.
"""

import json
import os
import subprocess
from contextlib import contextmanager

import boto3
import pytest
from local_api import IDLE_SPEED, REGIONS, TRUST, Api
from repository_files import REPOSITORY

import ops.aws
from ops.__main__ import main
from ops.cli.reconcile import tables_of
from ops.deploy import workplace
from ops.errors import ExitCode
from ops.fault_injection import REPLICATION_PAUSED, Fault
from ops.folders import releases_folder
from ops.iam.policy import size
from ops.reconcile.judgement import State
from ops.reconcile.plan import OVERWRITTEN, REPLAY, Entry, Header, Overwritten, Writer
from ops.synthesis import synthesize
from sandbox import lifecycle
from sandbox.emulator.authorization import RECORD_VARIABLE, recorded
from sandbox.workspace import Workspace

pytestmark = [pytest.mark.e2e, pytest.mark.soak]

TRIES = 3
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
RECORDING = REPOSITORY / "tests" / "recorded_actions.json"
FIRST = {
    "rate_per_second = 5.0": "rate_per_second = 100.0",
    "burst = 20": "burst = 200",
    "reserved_concurrency = 10": "reserved_concurrency = 50",
}
"""So that a drill is not throttled, on a busy machine either."""
CHANGES = FIRST | {
    "interval_seconds = 10": "interval_seconds = 30",
    "reserved_concurrency = 10": "reserved_concurrency = 20",
    "requests_per_five_minutes = 3000": "requests_per_five_minutes = 4000",
    "manage_account_log_role = true": "manage_account_log_role = true\ntracing = false\n"
    "log_retention_days = 14",
    "fault_injection_service = true": "fault_injection_service = true\nexperiment_minutes = 20",
    "deletion_protection = false": "deletion_protection = false\npoint_in_time_recovery = false",
    '"on-call@example.com"': '"operations@example.com"',
    "keys = [1, 2]": "keys = [2, 3]",
    'name = "initech"\nplan = "scarce"': 'name = "initech"\nplan = "slow"',
}
"""A change of each kind of resource that can be changed in place."""


class Roles:
    """A sandbox that enforces IAM, and roles whose calls are recorded."""

    def __init__(self, folder, monkeypatch):
        self.api = Api(Workspace(folder / "sandbox"), ("--iam-enforced",))
        self._record = folder / "calls.jsonl"
        self._monkeypatch, self._folder = monkeypatch, folder
        self._file = folder / "environments" / "local.toml"
        self._file.parent.mkdir()
        monkeypatch.setenv("FAILOVER_ENVIRONMENTS", str(self._file.parent))
        monkeypatch.setenv(RECORD_VARIABLE, str(self._record))

    def synthesize(self, changes, tags):
        self.writes(changes, tags)
        self.api.workspace.synthesized.mkdir(parents=True, exist_ok=True)
        synthesize("local", self.api.workspace.synthesized / "cdktf.out")

    def writes(self, changes, tags):
        """The environment file."""
        text = (REPOSITORY / "tests" / "hardened" / "local.toml").read_text()
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        self._file.write_text(f"{text}\n[tags]\n{tags}\n")

    def assume(self, purpose):
        """Credentials of a role with the policies that the command prints, and nothing else."""
        output = self._folder / "policies"
        assert self.ops("iam-policy", "--for", purpose, "--output", str(output)) == 0
        iam, sts = (self.client(service) for service in ("iam", "sts"))
        role = iam.create_role(RoleName=purpose, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
        for file in sorted(output.glob(f"local-{purpose}-*.json")):
            document = json.loads(file.read_text())
            assert size(document) <= 6144
            made = iam.create_policy(PolicyName=file.stem, PolicyDocument=file.read_text())
            iam.attach_role_policy(RoleName=purpose, PolicyArn=made["Policy"]["Arn"])
        given = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="test")["Credentials"]
        return given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]

    def client(self, service):
        return boto3.client(
            service, endpoint_url=self.running.endpoint_url, region_name=REGIONS[0],
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip

    @property
    def running(self):
        return self.api.workspace.noted()

    def terraform(self, credentials, *arguments):
        terraform = self.api.workspace.terraform(
            lifecycle.terraform_environment(self.running)
            | lifecycle.key_variable(self.api.workspace)
            | dict(zip(CREDENTIALS, credentials, strict=True))
        )
        return subprocess.run(
            ["terraform", *arguments, "-input=false", "-no-color"], cwd=terraform.folder,
            env=terraform.environment, capture_output=True, text=True,
        )  # fmt: skip

    def ops(self, *words, credentials=("test", "test")):
        """`python -m ops …` in this process, with the credentials of a role."""
        which = ("--environment", "local", "--folder", str(self.api.workspace.folder))
        stack = self.api.workspace.synthesized / "cdktf.out" / "stacks" / "local"
        if words[:3] in (("iam-policy", "--for", "deploy"), ("iam-policy", "--for", "plan")):
            which += ("--stack-folder", str(stack))
        self._monkeypatch.setattr(ops.aws, "SANDBOX_CREDENTIALS", credentials)
        terraforms = dict(workplace._VARIABLES) | dict(zip(CREDENTIALS, credentials, strict=False))
        try:
            with self._monkeypatch.context() as patch:
                # Those of Terraform, which `deploy` runs.
                patch.setattr(workplace, "_VARIABLES", terraforms)
                return main([*words, *which])
        finally:
            self._monkeypatch.setattr(ops.aws, "SANDBOX_CREDENTIALS", ("test", "test"))

    def plan(self):
        """A plan of `reconcile` that writes an item."""
        outputs = self.api.local.environment.outputs
        key = {"pk": {"S": "reconciled"}, "sk": {"S": "item"}}
        writer = Writer(self._folder / "plan.jsonl")
        tables = tables_of(self.api.local.environment)
        writer.begin(Header(outputs.environment, "", "", "", tables))
        lost = Overwritten(REGIONS[0], "", 1, key)
        nothing = dict.fromkeys(REGIONS)
        writer.add(
            Entry(
                outputs.table_name, key, State.OVERWRITTEN, "", nothing, action=REPLAY,
                source=OVERWRITTEN, targets=REGIONS[:1], overwritten=lost,
            )
        )  # fmt: skip
        writer.finish()
        return str(writer.path)

    @contextmanager
    def differing(self):
        """Let an item be in one Region only."""
        environment = self.api.local.environment
        with environment.fault_injection.injected(Fault(REGIONS[0], REPLICATION_PAUSED)):
            self.client("dynamodb").put_item(
                TableName=environment.outputs.table_name,
                Item={"pk": {"S": "differing"}, "sk": {"S": "item"}},
            )
            yield

    def decisions(self, purpose):
        """What IAM decided about the calls of a role."""
        return [d for d in recorded(self._record) if f":assumed-role/{purpose}/" in d.principal]


@pytest.fixture
def roles(tmp_path, monkeypatch):
    roles = Roles(tmp_path, monkeypatch)
    try:
        yield roles
    finally:
        roles.api.down()


def test_roles_with_the_generated_policies_do_their_work_and_nothing_is_denied(roles):
    # GIVEN an empty account, and a role with the policy for deploying a synthesized stack
    roles.api.up_without_deploying()
    roles.synthesize(FIRST, 'team = "one"')
    deploy = roles.assume("deploy")
    initialized = roles.terraform(deploy, "init")
    assert initialized.returncode == 0, initialized.stderr

    # WHEN it deploys, and a role with the policy for planning plans
    applied = roles.terraform(deploy, "apply", "-auto-approve")
    assert applied.returncode == 0, applied.stderr
    plan = roles.assume("plan")
    planned = roles.terraform(plan, "plan", "-detailed-exitcode")
    assert planned.returncode == 0, planned.stdout + planned.stderr

    # AND roles with the policies of operators work with what is deployed
    roles.api.up()
    # Drills raise the speed; at full speed a busy machine makes healthy Regions miss their checks.
    roles.api.set_speed(IDLE_SPEED)
    assumed = {}
    for purpose, commands in {
        "verify": [("verify",)],
        "switch": [("switch", "engage", "--reason", "test"), ("switch", "status"),
                   ("switch", "release"), ("switch", "evacuate", "us-west-2"),
                   ("switch", "restore", "us-west-2")],
        "drill": [("drill", "--fault", "switch"), ("drill", "--fault", "health-concurrency"),
                  ("drill", "--fault", "fis-replication-paused")],
        "readiness": [("readiness", "--proof", "switch", "--proof", "health-concurrency")],
        "reconcile": [("reconcile", "--since", "10m")],
        "reconcile-apply": [("reconcile", "--apply", roles.plan())],
    }.items():  # fmt: skip
        credentials = assumed[purpose] = roles.assume(purpose)
        for command in commands:
            # Right after a deployment, a busy machine lets functions of health give up.
            tries = (roles.ops(*command, credentials=credentials) for _ in range(TRIES))
            assert ExitCode.PASSED in tries, command
    with roles.differing():
        found = roles.ops("reconcile", "--since", "10m", credentials=assumed["reconcile"])
        assert found == ExitCode.CHECK_FAILED

    # AND the first role changes what can be changed, and destroys everything
    roles.synthesize(CHANGES, 'owner = "two"')
    changed = roles.terraform(deploy, "apply", "-auto-approve")
    assert changed.returncode == 0, changed.stderr
    destroyed = roles.terraform(deploy, "destroy", "-auto-approve")
    assert destroyed.returncode == 0, destroyed.stderr

    # THEN no call was denied, and none is new
    operators = ("verify", "switch", "drill", "readiness", "reconcile", "reconcile-apply")
    check_calls(roles, "deploy", "plan", *operators)


def test_a_role_with_the_policy_for_releases_deploys_one_and_nothing_is_denied(roles):
    roles.writes(FIRST, 'team = "one"')
    roles.api.up()
    roles.api.set_speed(IDLE_SPEED)
    release = roles.assume("release")
    roles.writes(FIRST, 'team = "released"')

    words = ("deploy", "--auto-approve", "--bake-seconds", "4")
    assert roles.ops(*words, credentials=release) == ExitCode.PASSED

    history = (releases_folder(roles.api.workspace.folder, "local") / "history.json").read_text()
    everywhere, *each = [gate["found"] for gate in json.loads(history)["deployments"][-1]["gates"]]
    assert everywhere.count("as a publisher and a customer") == len(each) == 2
    assert all("as a publisher and a customer" in found for found in each)
    check_calls(roles, "release")


def check_calls(roles, *purposes):
    found = {purpose: roles.decisions(purpose) for purpose in purposes}
    assert {(d.action, d.resource) for ds in found.values() for d in ds if not d.allowed} == set()
    actions = {purpose: sorted({d.action for d in ds}) for purpose, ds in found.items()}
    known = json.loads(RECORDING.read_text())
    if os.environ.get("RECORD_ACTIONS"):
        known |= actions
        RECORDING.write_text(json.dumps(known, indent=2) + "\n")
    assert {(p, a) for p, found in actions.items() for a in found if a not in known[p]} == set()
