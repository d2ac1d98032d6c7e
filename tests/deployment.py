"""An environment of a few operations, applied to the local AWS by the real Terraform."""

import json
import os
import shutil
import subprocess

import boto3
from cdktf import App
from repository_files import REPOSITORY

from constructs_lib import FailoverApiStack, Hints, Key, Switch
from constructs_lib.settings import load
from ops.key_values import VARIABLE
from weather_api.operations import (
    FUNCTIONS,
    HEALTH_OPERATION,
    OPERATIONS,
    SWITCH_ITEM,
    SWITCH_OPERATION,
)

REGIONS = ("us-east-1", "us-west-2")
SHIPPED = (REPOSITORY / "environments" / "local.toml").read_text()
DEPLOYED = (HEALTH_OPERATION, SWITCH_OPERATION, "get_weather")
KEY_VALUES = {"demo-1": "d" * 20, "visitor-1": "v" * 20}


class Deployment:
    """One environment, synthesized from the text of its file."""

    def __init__(self, folder, aws, text, *, name="local", account="000000000000"):
        self.folder, self.aws, self.text, self.name = folder, aws, text, name
        self.account = account
        folder.mkdir(exist_ok=True)
        self.stack = folder / "stack"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **aws.variables,
            # The local AWS takes a key of twelve digits for the account.
            "AWS_ACCESS_KEY_ID": account,
            VARIABLE: json.dumps({name: KEY_VALUES}),
            "CHECKPOINT_DISABLE": "1",
        }

    def synthesize(self, *changes, operations=DEPLOYED):
        """Synthesizes the environment with some `(old, new)` replaced in its file."""
        text = self.text
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        file = self.folder / f"{self.name}.toml"
        file.write_text(text)
        app = App(outdir=str(self.folder / "out"))
        FailoverApiStack(
            app,
            settings=load(file),
            # Few, because a plan takes as long as there are functions.
            operations=[o for o in OPERATIONS if o.name in operations],
            health_operation=HEALTH_OPERATION,
            switch=Switch(SWITCH_OPERATION, SWITCH_ITEM),
            functions=FUNCTIONS,
            partition_key=Key("pk"),
            sort_key=Key("sk"),
            hints=Hints(changes="See the table."),
        )
        app.synth()
        shutil.copytree(self.folder / "out" / "stacks" / self.name, self.stack, dirs_exist_ok=True)
        (self.stack / "backend_override.tf.json").write_text(
            '{"terraform": {"backend": {"local": {}}}}'
        )

    def terraform(self, *arguments):
        return subprocess.run(
            ["terraform", *arguments, "-no-color"],
            cwd=self.stack, env=self.environment, capture_output=True, text=True,
        )  # fmt: skip

    def apply(self, *arguments):
        done = self.terraform("apply", "-auto-approve", "-input=false", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refusal(self, *arguments):
        """What a plan is refused with, in one line."""
        done = self.terraform("plan", "-input=false", *arguments)
        assert done.returncode == 1, done.stdout
        return " ".join(done.stderr.replace("│", " ").split())

    def changes(self):
        """What a plan would change; nothing, if all is as it was deployed."""
        done = self.terraform("plan", "-input=false", "-detailed-exitcode")
        assert done.returncode in (0, 2), done.stderr
        return done.stdout if done.returncode else None

    def client(self, service, region=REGIONS[0]):
        return boto3.client(
            service, region_name=region, endpoint_url=self.aws.endpoint_url,
            aws_access_key_id=self.account, aws_secret_access_key="test",
        )  # fmt: skip

    def address(self, type, part=""):
        """The first resource of a type in the state whose name has a part."""
        listed = self.terraform("state", "list").stdout.split()
        return next(each for each in listed if each.startswith(f"{type}.") and part in each)
