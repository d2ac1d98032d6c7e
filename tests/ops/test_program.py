"""Whatever happens, a command ends with an exit code, one line, a next step, and no traceback."""

import argparse
import json
from pathlib import Path

import pytest
from botocore.exceptions import (
    ClientError,
    ConfigParseError,
    NoCredentialsError,
    ProfileNotFound,
    UnauthorizedSSOTokenError,
)
from botocore.parsers import ResponseParserError

from ops import __main__ as program
from ops.cli.program import Parser, Result, run
from ops.errors import ExitCode, OpsError, UsageError

pytestmark = pytest.mark.unit

DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "AssumeRole")
EXPIRED = ClientError({"Error": {"Code": "ExpiredToken", "Message": "old"}}, "GetItem")
THROTTLED = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "GetItem")


@pytest.fixture
def ended(tmp_path, capsys):
    """A command that ends as the test says; gives the exit code and what was printed."""

    def ended(command, *words):
        parser = Parser(prog="tool")
        commands = parser.add_subparsers(required=True)
        one = commands.add_parser("one")
        one.add_argument("--json", action="store_true")
        one.add_argument("--folder", type=Path, default=tmp_path)
        one.add_argument("--environment")

        def call(options):
            if isinstance(command, BaseException):
                raise command
            return command(options)

        one.set_defaults(run=call)
        code = run(parser, ["one", *words])
        return code, *capsys.readouterr()

    return ended


@pytest.mark.parametrize(
    ("error", "says", "next_step"),
    [
        (ProfileNotFound(profile="x"), "(x) could not be found", "aws configure list-profiles"),
        (ConfigParseError(path="/c", error="y"), "parse", "~/.aws/config"),
        (NoCredentialsError(), "Unable to locate credentials", "sign in again"),
        (UnauthorizedSSOTokenError(), "aws sso login", "sign in again"),
        (DENIED, "AssumeRole", "sign in with a role"),
        (EXPIRED, "ExpiredToken", "sign in again"),
        (THROTTLED, "ThrottlingException", "wait a minute"),
        (ResponseParserError("not XML"), "cannot be understood: not XML", "Region"),
        (PermissionError(13, "denied", "/x"), "PermissionError", "check permissions"),
        (OSError(28, "No space left on device"), "No space left", "free space"),
        (ValueError("too many values to unpack"), "ValueError: too many", "report it as a bug"),
        (KeyError("Table"), "KeyError: 'Table'", "report it as a bug"),
        (RecursionError("deep"), "RecursionError", "report it as a bug"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_exception_is_one_line_a_next_step_and_a_file(ended, tmp_path, error, says, next_step):
    code, out, printed = ended(error)

    assert code == ExitCode.PREREQUISITE
    assert out == ""
    first, second = printed.splitlines()
    assert first.startswith("Error: ")
    assert says in first
    assert second.startswith("  Next: ")
    assert next_step in second
    (file,) = (tmp_path / "drills").iterdir()
    assert str(file) in second
    assert "Traceback" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_a_foreseen_error_needs_no_file(ended, tmp_path):
    code, _, printed = ended(UsageError("wrong", next_step="do it right"))

    assert (code, printed) == (ExitCode.USAGE, "Error: wrong\n  Next: do it right\n")
    assert not list(tmp_path.iterdir())


def test_where_no_file_can_be_written_the_error_is_still_printed(ended, tmp_path, monkeypatch):
    (tmp_path / "drills").write_text("a file")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "drills"))

    code, _, printed = ended(ValueError("odd"))

    assert code == ExitCode.PREREQUISITE
    assert "ValueError: odd" in printed
    assert "details" not in printed


def test_an_interruption_has_its_own_code(ended):
    code, out, _ = ended(KeyboardInterrupt(), "--json")

    assert code == 130
    assert json.loads(out)["error"]["message"] == "interrupted"


def test_json_holds_what_the_command_found_and_nothing_else(ended):
    def command(options):
        print("a note for people")
        return Result(ExitCode.CHECK_FAILED, found=[1, 2])

    code, out, printed = ended(command, "--json", "--environment", "production")

    assert code == 1
    assert json.loads(out) == {
        "command": "one", "environment": "production", "exit_code": 1, "error": None,
        "found": [1, 2],
    }  # fmt: skip
    assert printed == "a note for people\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OpsError("dark", next_step="light"), 3),
        (ValueError("odd"), 3),
        (UsageError("no", next_step="yes"), 2),
    ],
)
def test_json_is_printed_after_an_error_too(ended, error, code):
    found, out, printed = ended(error, "--json")

    document = json.loads(out)
    assert found == document["exit_code"] == code
    assert document["error"]["message"] in printed
    assert document["error"]["next_step"]


def test_json_is_printed_after_wrong_arguments_too(capsys):
    code = program.main(["switch", "engage", "--json", "--never-heard-of"])

    out, printed = capsys.readouterr()
    document = json.loads(out)
    assert code == document["exit_code"] == ExitCode.USAGE
    assert document["command"] == "switch engage"
    assert "--environment" in document["error"]["message"]
    assert "usage: python -m ops switch engage" in printed


def leaves(parser, words=()):
    """The words of every command, with its parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                yield from leaves(child, (*words, name))
            return
    yield words, parser


def test_every_command_has_json():
    commands = dict(leaves(program.parser()))

    assert len(commands) >= 11
    for words, parser in commands.items():
        assert "--json" in parser._option_string_actions, words
