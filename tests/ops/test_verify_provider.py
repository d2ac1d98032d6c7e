"""The provider in use is the one that the environment's lock file names."""

from argparse import Namespace
from pathlib import Path

import pytest
from fake_environment import environment, outputs, sandbox_access

from ops.cli.options import environment_from
from ops.descriptor import Descriptor, descriptor_file, write
from ops.verify import provider
from ops.verify.finding import Outcome

pytestmark = pytest.mark.unit

AWS = "registry.terraform.io/hashicorp/aws"


def lock_text(version="5.100.0", hashes=("h1:abc=", "zh:def"), source=AWS):
    lines = "\n".join(f'    "{each}",' for each in hashes)
    return (
        '# This file is maintained automatically by "terraform init".\n\n'
        f'provider "{source}" {{\n  version     = "{version}"\n'
        f'  constraints = ">= 5.100.0, < 7.0.0"\n  hashes = [\n{lines}\n  ]\n}}\n'
    )


LOCK = lock_text()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Writes the files of a repository; `None` leaves one out."""
    environments, stack = tmp_path / "environments", tmp_path / "stack"
    monkeypatch.setenv("FAILOVER_ENVIRONMENTS", str(environments))

    def write(kept=LOCK, used=LOCK, installed="5.100.0"):
        environments.mkdir()
        stack.mkdir()
        if kept is not None:
            (environments / "production.lock.hcl").write_text(kept)
        if used is not None:
            (stack / ".terraform.lock.hcl").write_text(used)
        if installed:
            (stack / ".terraform" / "providers" / AWS / installed / "linux_amd64").mkdir(
                parents=True
            )
        return environment(stack_folder=stack)

    return write


def test_the_provider_that_is_kept_in_git_passes(repository):
    (finding,) = provider.lock.run(repository())

    assert finding.outcome is Outcome.PASSED
    assert finding.subject == "hashicorp/aws"
    assert finding.found == "5.100.0, as production.lock.hcl has it"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"used": lock_text("6.25.0"), "installed": "6.25.0"},
            "the working folder has 6.25.0, and the environment's file 5.100.0",
        ),
        (
            {"used": lock_text(hashes=("h1:other=",))},
            "5.100.0 in the working folder has none of the checksums that are kept",
        ),
        ({"installed": "6.25.0"}, "installed is 6.25.0, and the working folder's lock file has"),
        (
            {"used": LOCK + lock_text(source="registry.terraform.io/hashicorp/random")},
            "the environment's lock file does not name it",
        ),
        (
            {"kept": LOCK + lock_text(source="registry.terraform.io/hashicorp/random")},
            "it is not used",
        ),
    ],
    ids=["version", "checksums", "installed", "more", "fewer"],
)
def test_another_provider_is_named(repository, files, expected):
    failures = [
        each for each in provider.lock.run(repository(**files)) if each.outcome is Outcome.FAILED
    ]

    (failure,) = failures
    assert expected in failure.found
    assert "init -lockfile=readonly" in failure.fix


def test_a_version_alone_is_not_compared_with_what_init_has_not_installed(repository):
    (finding,) = provider.lock.run(repository(installed=None))

    assert finding.outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"kept": None}, "two people may use two versions"),
        ({"used": None}, "terraform init has not run in"),
    ],
)
def test_what_is_missing_is_a_reason_and_passes_nothing(repository, files, reason):
    (finding,) = provider.lock.run(repository(**files))

    assert finding.outcome is Outcome.UNKNOWN
    assert reason in finding.found


def test_without_the_repository_and_in_a_sandbox_it_is_skipped_with_the_reason():
    (from_descriptor,) = provider.lock.run(environment())
    (sandbox,) = provider.lock.run(environment(sandbox=sandbox_access(), stack_folder=Path()))

    assert from_descriptor.outcome is sandbox.outcome is Outcome.UNKNOWN
    assert "only the descriptor" in from_descriptor.found
    assert "a sandbox takes the provider of this machine" in sandbox.found


@pytest.mark.parametrize(
    ("by_file", "there"), [(False, True), (False, False), (True, True)], ids=str
)
def test_the_working_folder_is_known_unless_a_descriptor_is_named(
    tmp_path, monkeypatch, by_file, there
):
    path = descriptor_file(tmp_path, "production")
    write(path, Descriptor.on_aws(outputs()))
    monkeypatch.setattr("ops.cli.options.OUTPUT_FOLDER", tmp_path / "cdktf.out")
    stack = tmp_path / "cdktf.out" / "stacks" / "production"
    if there:
        stack.mkdir(parents=True)
    options = Namespace(
        environment=None if by_file else "production",
        descriptor=path if by_file else None,
        folder=tmp_path,
        stack_folder=None,
    )

    found = environment_from(options).stack_folder

    assert (found is not None) == (there and not by_file)
