"""Programs that import prebuilt providers, run as programs: an import happens once in a process."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from repository_files import REPOSITORY

INSTALL = "import cdktf_bindings as bindings\nbindings.install()\n"

NAMES = """
from cdktf import App, LocalBackend, TerraformStack, TerraformOutput
from cdktf_cdktf_provider_random.pet import Pet
from cdktf_cdktf_provider_random.provider import RandomProvider
from cdktf_cdktf_provider_null.resource import Resource
from cdktf_cdktf_provider_null.provider import NullProvider

app = App(outdir="out")
stack = TerraformStack(app, "names")
LocalBackend(stack, path="names.tfstate")
RandomProvider(stack, "random")
NullProvider(stack, "null")
pet = Pet(stack, "pet", length=2, keepers={"colour": "grey"})
resource = Resource(stack, "resource", triggers={"name": pet.id})
TerraformOutput(stack, "name", value=pet.id)
app.synth()
"""
"""Uses two small providers; writes out/stacks/names/cdk.tf.json."""


class Finished:
    """A program that has ended: what it printed, and the stacks that it synthesized."""

    def __init__(self, folder: Path, process: subprocess.CompletedProcess):
        self.folder = folder
        self.code = process.returncode
        self.output = process.stdout
        self.errors = process.stderr

    def stack(self, name: str) -> bytes:
        assert self.code == 0, self.errors
        return (self.folder / "out" / "stacks" / name / "cdk.tf.json").read_bytes()

    def resources(self, name: str) -> dict:
        return json.loads(self.stack(name))["resource"]


def start(
    source: str, folder: Path, *, under: Sequence[str] = (), **environment: str | None
) -> subprocess.Popen:
    """Starts a Python program in a folder of its own, under another program if one is given.

    A variable that is None is taken away.
    """
    variables = {**os.environ, "PYTHONPATH": str(REPOSITORY), **environment}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "program.py").write_text(textwrap.dedent(source))
    return subprocess.Popen(
        [*under, sys.executable, "program.py"],
        cwd=folder,
        env={name: value for name, value in variables.items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait(process: subprocess.Popen, folder: Path) -> Finished:
    output, errors = process.communicate()
    done = subprocess.CompletedProcess(process.args, process.returncode, output, errors)
    return Finished(folder, done)


def run(source: str, folder: Path, *, under: Sequence[str] = (), **environment: str) -> Finished:
    """Runs a Python program in a folder of its own."""
    return wait(start(source, folder, under=under, **environment), folder)
