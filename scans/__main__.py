"""`python -m scans`: linters of workflows, checkov over every environment, an OpenAPI client.

A failed check of checkov must be explained in `accepted.toml`, one by one. Exit codes: 0 nothing
unexplained, 1 a finding in a workflow, a failed check without explanation or an explanation without
a failed check, 3 a scanner cannot run.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from scans.accepted import Accepted, FailedCheck, compare, read_accepted
from scans.workflows import problems

REPOSITORY = Path(__file__).parent.parent
ENVIRONMENTS = (REPOSITORY / "environments", REPOSITORY / "tests" / "hardened")
"""Folders of environment files: what is shipped, and one with every option on."""
CHECKOV = REPOSITORY / ".venv-scans" / "bin" / "checkov"
CLIENT_GENERATOR = CHECKOV.with_name("openapi-python-client")
PREREQUISITE_BROKEN = 3


class ScanError(Exception):
    """Checkov cannot run; the text says why."""


def main() -> int:
    """Synthesizes, scans and compares.

    Returns:
        The exit code.
    """
    try:
        if found := problems(REPOSITORY / ".github", CHECKOV.parent):
            print(*found, sep="\n")
            return 1
        with tempfile.TemporaryDirectory(prefix="scans-") as folder:
            failed = [
                check
                for environments in (*ENVIRONMENTS, _by_region(Path(folder)))
                for stack in _synthesized(environments, Path(folder))
                for check in _scanned(stack)
            ]
        _generate_client()
    except ScanError as error:
        print(error, file=sys.stderr)
        return PREREQUISITE_BROKEN
    except OSError as error:
        print(f"a scanner cannot run: {error}; install it with: make scan", file=sys.stderr)
        return PREREQUISITE_BROKEN
    accepted = read_accepted(Path(__file__).with_name("accepted.toml"))
    return _told(*compare(failed, accepted), failed)


def _generate_client() -> None:
    """A client generator takes the OpenAPI document without a warning."""
    with tempfile.TemporaryDirectory(prefix="scans-") as folder:
        done = subprocess.run(
            [
                *(str(CLIENT_GENERATOR), "generate", "--fail-on-warning", "--meta", "none"),
                *("--path", str(REPOSITORY / "lambda_src" / "weather" / "openapi.json")),
                *("--output-path", str(Path(folder) / "client")),
            ],
            # The generator formats with ruff.
            env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise ScanError(f"the OpenAPI document does not please the generator:\n{done.stdout}")


def _told(unexplained: list[FailedCheck], stale: list[Accepted], failed: list[FailedCheck]) -> int:
    for check in unexplained:
        print(f"{check.id} {check.name}\n  {check.environment}: {check.address}")
    for entry in stale:
        print(f"{entry.check} {entry.resources}: accepted, but no resource fails it: remove it")
    if unexplained:
        print("Fix these, or explain each in scans/accepted.toml.")
    print(
        f"{len(failed)} failed checks, {len(unexplained)} unexplained; "
        f"{len(stale)} explanations of nothing"
    )
    return 1 if unexplained or stale else 0


def _by_region(folder: Path) -> Path:
    """A folder with every option on, and a stack for each Region."""
    environments = folder / "by-region"
    environments.mkdir()
    for file in ENVIRONMENTS[-1].glob("*.toml"):
        text = f'layout = "regional"\n{file.read_text(encoding="utf-8")}'
        (environments / file.name).write_text(text, encoding="utf-8")
    return environments


def _synthesized(environments: Path, folder: Path) -> Iterator[Path]:
    """The JSON of every environment in a folder of environment files."""
    output = folder / "out" / environments.name
    done = subprocess.run(
        [sys.executable, "main.py"],
        cwd=REPOSITORY,
        env=os.environ | {"FAILOVER_ENVIRONMENTS": str(environments), "CDKTF_OUTDIR": str(output)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ScanError(f"python main.py failed:\n{done.stderr}")
    yield from sorted(output.glob("stacks/*/cdk.tf.json"))


def _scanned(stack: Path) -> Iterator[FailedCheck]:
    """What fails in one stack."""
    synthesized = json.loads(stack.read_text(encoding="utf-8"))
    # Checkov 3.3 reads no JSON that has it, and then passes.
    # https://github.com/bridgecrewio/checkov/issues/7454
    synthesized["terraform"].pop("required_version")
    stack.write_text(json.dumps(synthesized), encoding="utf-8")
    try:
        done = subprocess.run(
            [
                *(str(CHECKOV), "--framework", "terraform_json", "--file", str(stack)),
                *("--skip-download", "--compact", "--output", "json"),
            ],
            # Settings of this machine must not skip a check.
            cwd=stack.parent,
            env={
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("CKV_", "CHECKOV_", "BC_", "PRISMA_"))
            }
            | {"CKV_PARSE_ERROR_FAIL": "true", "HOME": str(stack.parent)},
            capture_output=True,
            text=True,
        )
        found = json.loads(done.stdout)
        summary = found["summary"]
        # It passes what it cannot read: only a scan that looked at something counts.
        if summary["parsing_errors"] or not summary["passed"]:
            raise ScanError(f"checkov could not read {stack}: {summary}")
    except OSError as error:
        raise ScanError(f"{CHECKOV} cannot run: {error}; install it with: make scan") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ScanError(f"checkov failed:\n{done.stdout}\n{done.stderr}") from error
    addresses = {
        logical_id: f"{type}.{logical_id}"
        for type, resources in synthesized["resource"].items()
        for logical_id in resources
    }
    for check in found["results"]["failed_checks"]:
        logical_id = check["resource"].rpartition(".")[2]
        yield FailedCheck(
            check["check_id"],
            check["check_name"],
            addresses.get(logical_id, check["resource"]),
            f"{stack.parents[2].name}/{stack.parent.name}",
        )


if __name__ == "__main__":
    sys.exit(main())
