"""A mirror of providers that Terraform can hash in no time.

Terraform hashes the package of a provider at every `init`, and once more at every plan and apply:
each time three seconds of a processor for the 700 MB of the AWS provider. In this mirror, each
program is a script that runs the real one.
"""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

OPTION = "-plugin-dir="
VARIABLE = "TF_CLI_ARGS_init"


@contextmanager
def light_mirror() -> Iterator[None]:
    """For the block, put such a mirror in the place of the one that the environment names.

    If it names none, or one of archives, Terraform takes providers from there, as before.
    """
    before = os.environ.get(VARIABLE, "")
    options = shlex.split(before)
    named = next((each for each in options if each.startswith(OPTION)), "")
    real = Path(named.removeprefix(OPTION)).absolute()
    programs = [*real.glob("*/*/*/*/*/terraform-provider-*")] if named else []
    if not programs:
        yield
        return
    with TemporaryDirectory(prefix="providers-") as folder:
        # Whoever looks for a mirror on this machine leaves out such folders.
        mirror = Path(folder, ".terraform", "providers")
        for program in programs:
            script = mirror / program.relative_to(real)
            script.parent.mkdir(parents=True)
            script.write_text(f'#!/bin/sh\nexec {shlex.quote(str(program))} "$@"\n')
            script.chmod(0o755)
        light = f"{OPTION}{mirror}"
        os.environ[VARIABLE] = shlex.join(light if o == named else o for o in options)
        try:
            yield
        finally:
            os.environ[VARIABLE] = before
