"""Generate docs/reference/reference.md from the code: `python -m scripts.reference`.

Every table comes from what the code itself uses: the models of the environment file, the typed
outputs, the OpenAPI document, the command line parsers. `--check` only compares; exit codes: 0
written or up to date, 1 out of date.
"""

import argparse
import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import cdktf_bindings as bindings

if __name__ == "__main__":
    # Before all other imports: the operations bring the constructs, and those a provider.
    bindings.install()

from pydantic import BaseModel
from pydantic.fields import FieldInfo

import ops.errors
import weather_api.openapi
import weather_api.operations
from constructs_lib.outputs import Outputs
from constructs_lib.settings import Settings
from ops.__main__ import parser as ops_parser
from ops.cli.program import INTERRUPTED
from ops.verify import CHECKS
from sandbox.__main__ import parser as sandbox_parser
from scripts.generated import write_or_check

REPOSITORY = Path(__file__).parent.parent
REFERENCE = REPOSITORY / "docs" / "reference" / "reference.md"
COMMAND = "python -m scripts.reference"

VARIABLES = {
    "FAILOVER_ENVIRONMENT": "Name of the one environment that `main.py` synthesizes; default: all.",
    "FAILOVER_ENVIRONMENTS": "Folder of environment files for `main.py` and `ops customers`; "
    "default: `environments`.",
    "FAILOVER_BINDINGS": "`stock` loads the provider bindings as they were published.",
    "FAILOVER_BINDINGS_CACHE": "Folder of the prepared bindings; default: one in the user's "
    "cache folder.",
    "JSII_NODE": "Node that synthesis runs on; default: the one in `.venv`.",
    "CDKTF_OUTDIR": "Folder for synthesized files; default: `cdktf.out`.",
    "TF_VAR_api_keys": "Values of customers' API keys for Terraform; `ops customers env` prints "
    "it.",
    "TF_CLI_ARGS_init": "Terraform's own; `-plugin-dir=…` points it to a mirror of providers.",
    "AWS_ENDPOINT_URL": "Points Terraform, cdktf and boto3 to the sandbox; `sandbox env` prints "
    "it.",
    "SANDBOX_RECORDED_CALLS": "File to which a sandbox with `--iam-enforced` appends what IAM "
    "decided about each call, as JSON lines.",
    "CI": "Any value: tests that cannot run fail instead of being skipped.",
}
"""Environment variables that users set."""

_WHO = {"": "everybody", "api_key": "API key", "aws_signature": "IAM"}
_SHARED_OPTIONS = {
    "--help",
    "--environment",
    "--descriptor",
    "--folder",
    "--stack-folder",
    "--json",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the reference, or compare it.

    Args:
        arguments: Of the command line; those of the process by default.

    Returns:
        The exit code.
    """
    return write_or_check(REFERENCE, reference(), command=COMMAND, arguments=arguments)


def reference() -> str:
    """The whole of docs/reference/reference.md."""
    variables = [(f"`{name}`", meaning) for name, meaning in VARIABLES.items()]
    outputs = [(f"`{name}`", meaning) for name, meaning in Outputs.descriptions().items()]
    sections = (
        (
            "Settings",
            "An environment is one file, `environments/<name>.toml`. "
            "[`example.toml`](../../environments/example.toml) has every key with its reason.",
            _settings(),
        ),
        (
            "Outputs",
            "Printed by `terraform output`, and stored in the environment descriptor. "
            "`publisher_policy_arn` is missing without signed operations.",
            _table(("name", "meaning"), outputs),
        ),
        (
            "Operations",
            "Full schema: `GET /openapi.json`. Notes: [Weather API](weather-api.md).",
            [*_operations(), *_shared_statuses()],
        ),
        (
            "Operator commands",
            "`python -m ops COMMAND`. Options that several commands share: "
            f"{_shared_options(ops_parser())}. `--help` after a command explains each.",
            _commands(ops_parser()),
        ),
        (
            "Checks",
            "Of `verify`. A finding is passed, failed or unknown, which is what cannot be "
            "determined from this machine.",
            _table(("check", "what it does"), [(f"`{c.id}`", c.description) for c in CHECKS]),
        ),
        (
            "Sandbox commands",
            "`python -m sandbox COMMAND`. All take `--folder` (default: `.local`).",
            _commands(sandbox_parser()),
        ),
        ("Exit codes", "Of `python -m ops` and `python -m sandbox`.", _exit_codes()),
        ("Environment variables", "", _table(("name", "meaning"), variables)),
    )
    lines = ["# Reference", "", f"Generated from the code by `{COMMAND}`; do not edit.", ""]
    for title, introduction, body in sections:
        lines += [f"## {title}", "", *([introduction, ""] if introduction else []), *body]
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table and the empty line after it."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(map(_cell, line)) + " |" for line in lines] + [""]


def _cell(text: str) -> str:
    """A cell's text: a bar would end the cell, and `<` outside of code begin HTML."""
    parts = re.split("(`[^`]*`)", text.replace("|", r"\|"))
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)


# Settings


def _settings() -> Iterator[str]:
    fields = {name: f for name, f in Settings.model_fields.items() if f.json_schema_extra}
    tables = {name: f for name, f in fields.items() if _models(f.annotation) or name == "tags"}
    yield "### Top-level keys"
    yield ""
    yield from _keys({name: field for name, field in fields.items() if name not in tables})
    for name, field in tables.items():
        yield f"### `{_heading(name, field)}`"
        yield ""
        yield f"{_description(field)} {_presence(field)}"
        yield ""
        if get_origin(field.annotation) is dict:
            yield f"Allowed: {_extra(field, 'allowed')}."
            yield ""
        models = _models(field.annotation)
        for model in models:
            if len(models) > 1:
                (kind,) = get_args(model.model_fields["type"].annotation)
                yield f'`type = "{kind}"`: {_summary(model)}'
                yield ""
            keys = {n: f for n, f in model.model_fields.items() if f.json_schema_extra}
            yield from _keys(keys) if keys else ()


def _keys(fields: Mapping[str, FieldInfo]) -> list[str]:
    return _table(
        ("key", "allowed", "default", "meaning"),
        [
            (f"`{name}`", _extra(field, "allowed"), _default(field), field.description or "")
            for name, field in fields.items()
        ],
    )


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The tables that a key may hold, at any depth of its type."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _heading(name: str, field: FieldInfo) -> str:
    if get_origin(field.annotation) is tuple:
        return f"[[{name}]]"
    within = get_origin(field.annotation) is dict and _models(field.annotation)
    return f"[{name}.<name>]" if within else f"[{name}]"


def _description(field: FieldInfo) -> str:
    models = _models(field.annotation)
    return _summary(models[0]) if len(models) == 1 else field.description or ""


def _summary(model: type[BaseModel]) -> str:
    return (inspect.getdoc(model) or "").partition("\n\n")[0].replace("\n", " ")


def _presence(field: FieldInfo) -> str:
    if field.is_required():
        return "Required."
    return "Optional." if field.default is not None else "Optional: none without this table."


def _extra(field: FieldInfo, name: str) -> str:
    assert isinstance(field.json_schema_extra, dict)
    return str(field.json_schema_extra[name])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return "none" if field.default is None else f"`{json.dumps(field.default)}`"


# Operations


def _operations() -> list[str]:
    rows = []
    for path, method, operation in _described():
        query = [
            parameter["name"]
            for parameter in map(_referred, operation.get("parameters", ()))
            if parameter["in"] == "query"
        ]
        call = f"{method} {path}" + (f"?{'&'.join(query)}" if query else "")
        (security,) = operation["security"] or [{"": []}]
        own = [status for status in operation["responses"] if status not in _shared(operation)]
        rows.append(
            (
                f"`{operation['operationId']}`",
                operation["summary"],
                f"`{call}`",
                _WHO[next(iter(security))],
                ", ".join(own),
            )
        )
    return _table(("operation", "what it does", "method and path", "caller", "statuses"), rows)


def _shared_statuses() -> list[str]:
    shared = set.union(*(_shared(operation) for *_, operation in _described()))
    texts = {
        status: _referred(response)["description"]
        for *_, operation in _described()
        for status, response in operation["responses"].items()
        if status in shared and "$ref" in response
    }
    rows = [(status, text.replace("\n", " ")) for status, text in sorted(texts.items())]
    return ["Every operation may also return:", "", *_table(("status", "reason"), rows)]


_DOCUMENT = weather_api.openapi.document(weather_api.operations.OPERATIONS)


def _described() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in _DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _shared(operation: Mapping[str, Any]) -> set[str]:
    """Statuses that every operation has, and this one describes as all others do."""
    everywhere = set.intersection(*(set(each["responses"]) for *_, each in _described()))
    return {s for s, each in operation["responses"].items() if "$ref" in each} & everywhere


def _referred(part: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in part:
        return part
    _, _, kind, name = part["$ref"].split("/")
    referred: dict[str, Any] = _DOCUMENT["components"][kind][name]
    return referred


# Commands


def _commands(parser: argparse.ArgumentParser) -> list[str]:
    return _table(
        ("command", "what it does", "arguments"),
        [
            (f"`{' '.join(names)}`", text, _own(command))
            for names, text, command in commands(parser)
        ],
    )


def commands(
    parser: argparse.ArgumentParser, names: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str, argparse.ArgumentParser]]:
    """Every command of a parser.

    Args:
        parser: A parser.
        names: The commands above it.

    Yields:
        `(names, help, parser)`, such as `("customers", "issue")`.
    """
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for choice in action._choices_actions:
                name, command = (*names, choice.dest), action.choices[choice.dest]
                yield from list(commands(command, name)) or [(name, choice.help or "", command)]


def _own(command: argparse.ArgumentParser) -> str:
    return " ".join(
        f"`{_written(action)}`"
        for action in command._actions
        if not set(action.option_strings) & _SHARED_OPTIONS
    )


def _shared_options(parser: argparse.ArgumentParser) -> str:
    found = {
        _written(action): None
        for *_, command in commands(parser)
        for action in command._actions
        if set(action.option_strings) & (_SHARED_OPTIONS - {"--help"})
    }
    return ", ".join(f"`{option}`" for option in found)


def _written(action: argparse.Action) -> str:
    value = str(action.metavar or action.dest.upper())
    if not action.option_strings:
        return f"[{action.dest}]" if action.nargs == "?" else action.dest
    option = action.option_strings[-1]
    return option if action.nargs == 0 else f"{option} {value}"


def _exit_codes() -> list[str]:
    """The members of `ExitCode` with their docstrings."""
    (enumeration,) = (
        node
        for node in ast.parse(inspect.getsource(ops.errors)).body
        if isinstance(node, ast.ClassDef) and node.name == ops.errors.ExitCode.__name__
    )
    rows = []
    for member, text in zip(enumeration.body, enumeration.body[1:], strict=False):
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr):
            (target,) = member.targets
            assert isinstance(target, ast.Name)
            rows.append((str(ops.errors.ExitCode[target.id].value), ast.literal_eval(text.value)))
    rows.append(
        (
            str(INTERRUPTED),
            "Interrupted with Ctrl-C. A drill has cleared its fault and deleted its data before.",
        )
    )
    return _table(("code", "meaning"), rows)


if __name__ == "__main__":
    sys.exit(main())
