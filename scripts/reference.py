"""Writes the reference tables, in docs/reference.md and README.md: `python -m scripts.reference`.

Every table is made of what the code itself goes by: the models of the environment file, synthesized
JSON, the OpenAPI document, the parsers of `ops`. `--check` only compares; exit codes: 0 written or
up to date, 1 out of date.
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

from constructs_lib import bindings

if __name__ == "__main__":
    # Before all other imports: the outputs are those of a synthesized stack.
    bindings.install()

from cdktf import App, Testing
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import ops.errors
import weather_api
import weather_openapi
from constructs_lib.settings import (
    EncryptionSettings,
    MonitoringSettings,
    Settings,
    WebAclSettings,
    load,
)
from ops.__main__ import parser as ops_parser
from ops.cli.drill import INTERRUPTED

REPOSITORY = Path(__file__).parent.parent
REFERENCE = REPOSITORY / "docs" / "reference.md"
README = REPOSITORY / "README.md"
COMMAND = "python -m scripts.reference"

VARIABLES = {
    "FAILOVER_ENVIRONMENT": "Name of the one environment that `main.py` synthesizes; all by "
    "default.",
    "FAILOVER_ENVIRONMENTS": "Folder of environment files for `main.py` and `ops customers`; "
    "`environments` by default.",
    "FAILOVER_BINDINGS": "`stock` loads the provider bindings as they were published.",
    "FAILOVER_BINDINGS_CACHE": "Folder of the prepared bindings; one in the user's cache folder "
    "by default.",
    "JSII_NODE": "Node that synthesis runs on; the one of `.venv` by default.",
    "CDKTF_OUTDIR": "Folder that is synthesized into; `cdktf.out` by default.",
    "TF_VAR_api_keys": "Values of customers' API keys for Terraform; `ops customers env` prints "
    "it.",
    "TF_CLI_ARGS_init": "Terraform's own; `-plugin-dir=…` leads it to a mirror of providers.",
    "AWS_ENDPOINT_URL": "Leads Terraform, cdktf and boto3 to the local AWS; `ops local env` prints "
    "it.",
    "CI": "Any value: tests that cannot run fail instead of being skipped.",
}
"""Environment variables that people set."""

_WHO = {"": "everybody", "api_key": "API key", "aws_signature": "IAM"}
_SHARED_OPTIONS = ("--help", "--environment", "--folder", "--stack-folder")


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the tables, or compares them.

    Args:
        arguments: Of the command line; those of the process by default.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description="Writes the reference tables.")
    parser.add_argument("--check", action="store_true", help="only tell whether they are current")
    check = parser.parse_args(arguments).check
    stale = False
    for path, text in ((REFERENCE, reference()), (README, _readme(README.read_text("utf-8")))):
        if not check:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            print(f"{path} is out of date: run `{COMMAND}`", file=sys.stderr)
            stale = True
    return int(stale)


def reference() -> str:
    """The whole of docs/reference.md."""
    variables = [(f"`{name}`", meaning) for name, meaning in VARIABLES.items()]
    sections = (
        (
            "Settings",
            "An environment is one file, `environments/<name>.toml`; "
            "[`example.toml`](../environments/example.toml) holds every key with its reason.",
            _settings(),
        ),
        (
            "Outputs",
            "What `terraform output` tells of a deployed environment. Maps are keyed by Region.",
            _outputs(),
        ),
        (
            "Operations",
            "Told whole by the API itself: `GET /openapi.json`.",
            [*operations(), "", *_shared_statuses()],
        ),
        (
            "The operator's tool",
            "`python -m ops VERB`. Verbs on an environment also take `--environment NAME` (`local` "
            "by default), `--folder` (of the local one) and `--stack-folder` (where `terraform "
            "output` works). `--help` after a verb tells more.",
            _verbs(),
        ),
        ("Exit codes", "Of every verb of `python -m ops`.", _exit_codes()),
        ("Environment variables", "", _table(("name", "meaning"), variables)),
    )
    lines = ["# Reference", "", f"Written by `{COMMAND}` from the code; do not edit it.", ""]
    for title, introduction, body in sections:
        lines += [f"## {title}", "", *([introduction, ""] if introduction else []), *body]
    return "\n".join(lines)


def _readme(text: str) -> str:
    """README with the tables between its markers made anew."""
    table = "\n".join(operations())
    return re.sub(
        r"(<!-- generated: operations -->\n).*?(\n<!-- end -->)",
        lambda match: f"{match[1]}{table}{match[2]}",
        text,
        flags=re.DOTALL,
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table, and the empty line after it."""
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
    yield "### Before the first table"
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


# Outputs


def _outputs() -> list[str]:
    example = load(REPOSITORY / "environments" / "example.toml")
    extras: dict[str, dict[str, Any]] = {
        "regional_names": {"domain": example.domain.model_copy(update={"regional_names": True})},
        "customer_managed_key": {"encryption": EncryptionSettings(customer_managed_key=True)},
        "[web_acl]": {"web_acl": WebAclSettings()},
        "[monitoring]": {"monitoring": MonitoringSettings(alarms=True, dashboard=True)},
    }
    plain = example.model_copy(
        update={
            "domain": example.domain.model_copy(update={"regional_names": False}),
            "encryption": EncryptionSettings(),
            "web_acl": None,
            "monitoring": MonitoringSettings(),
        }
    )
    everything = {key: value for extra in extras.values() for key, value in extra.items()}
    whole, least = _outputs_of(plain.model_copy(update=everything)), _outputs_of(plain)
    latency = _outputs_of(plain.model_copy(update={"routing_policy": "latency"}))
    only_with = dict.fromkeys(set(least) - set(latency), 'routing_policy = "failover"')
    # Looked for only where there is something to find: each stack takes half a second.
    for option, extra in extras.items() if set(whole) - set(least) else ():
        found = set(_outputs_of(plain.model_copy(update=extra))) - set(least)
        only_with |= dict.fromkeys(found, option)
    return _table(
        ("name", "what it is", "only with"),
        [
            (
                f"`{name}`",
                described["description"],
                f"`{only_with[name]}`" if name in only_with else "",
            )
            for name, described in whole.items()
        ],
    )


def _outputs_of(settings: Settings) -> Mapping[str, Any]:
    synthesized = Testing.synth(weather_api.build_stack(App(), settings))
    outputs: Mapping[str, Any] = json.loads(synthesized)["output"]
    return outputs


# Operations


def operations() -> list[str]:
    """The table of operations, without an empty line at its end."""
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
    return _table(("operation", "what it does", "method and path", "who", "answers"), rows)[:-1]


def _shared_statuses() -> list[str]:
    shared = set.union(*(_shared(operation) for *_, operation in _described()))
    texts = {
        status: _referred(answer)["description"]
        for *_, operation in _described()
        for status, answer in operation["responses"].items()
        if status in shared and "$ref" in answer
    }
    rows = [(status, text.replace("\n", " ")) for status, text in sorted(texts.items())]
    return ["Every operation may also answer:", "", *_table(("status", "why"), rows)]


_DOCUMENT = weather_openapi.document(weather_api.OPERATIONS)


def _described() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in _DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _shared(operation: Mapping[str, Any]) -> set[str]:
    """Statuses that every operation has, where this one says nothing of its own about them."""
    everywhere = set.intersection(*(set(each["responses"]) for *_, each in _described()))
    return {s for s, answer in operation["responses"].items() if "$ref" in answer} & everywhere


def _referred(part: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in part:
        return part
    _, _, kind, name = part["$ref"].split("/")
    referred: dict[str, Any] = _DOCUMENT["components"][kind][name]
    return referred


# The operator's tool


def _verbs() -> list[str]:
    return _table(
        ("verb", "what it does", "arguments of its own"),
        [(f"`{' '.join(names)}`", text, _own(verb)) for names, text, verb in verbs(ops_parser())],
    )


def verbs(
    parser: argparse.ArgumentParser, names: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str, argparse.ArgumentParser]]:
    """Every verb that does something, and its help.

    Args:
        parser: A parser.
        names: The verbs before it.

    Yields:
        `(names, help, parser)`, such as `("local", "up")`.
    """
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for choice in action._choices_actions:
                name, verb = (*names, choice.dest), action.choices[choice.dest]
                below = list(verbs(verb, name))
                yield from below or [(name, choice.help or "", verb)]


def _own(verb: argparse.ArgumentParser) -> str:
    return " ".join(
        f"`{_written(action)}`"
        for action in verb._actions
        if not set(action.option_strings) & set(_SHARED_OPTIONS)
    )


def _written(action: argparse.Action) -> str:
    value = str(action.metavar or action.dest.upper())
    if not action.option_strings:
        return f"[{action.dest}]" if action.nargs == "?" else action.dest
    option = action.option_strings[-1]
    return option if action.nargs == 0 else f"{option} {value}"


def _exit_codes() -> list[str]:
    """The members of `ExitCode` with what stands below each."""
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
        (str(INTERRUPTED), "Interrupted with Ctrl-C; a drill has put everything right before.")
    )
    return _table(("code", "meaning"), rows)


if __name__ == "__main__":
    sys.exit(main())
