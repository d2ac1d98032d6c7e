"""A synthesized stack, written as the TypeScript program that synthesizes the same Terraform JSON.

What comes out is what a TypeScript user would write who imports only the submodules that are used:
typed constructs, one for each provider, resource and data source, that refer to each other by
attributes. `differences` compares the two. The packages are those of
`benchmarks/typescript`; its lock file is made by `npm install --omit-lockfile-registry-resolved`.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent / "typescript"
NODE_MODULES = PROJECT / "node_modules"

_PROVIDER = NODE_MODULES / "@cdktf" / "provider-aws" / "lib"
_REFERENCE = re.compile(r"\$\{(?P<address>(?:data\.)?aws_\w+\.[\w-]+)\.(?P<attribute>\w+)\}")
_VARIABLE = re.compile(r"\$\{(?P<address>var\.\w+)\}")
_LIFECYCLE_KEYS = {
    "create_before_destroy",
    "ignore_changes",
    "precondition",
    "prevent_destroy",
    "replace_triggered_by",
}
_TERRAFORM_DATA = "terraform_data"


class TypeScriptError(Exception):
    """The stack holds something that this generator does not know, or its program fails."""


def install() -> None:
    """Install the packages of the lock file, unless they are there.

    Raises:
        FileNotFoundError: npm is not installed.
        subprocess.CalledProcessError: npm failed; it has said why.
    """
    marker = NODE_MODULES / ".package-lock.json"
    lock = PROJECT / "package-lock.json"
    if not marker.exists() or marker.stat().st_mtime < lock.stat().st_mtime:
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=PROJECT, check=True)


def write_project(stack: Mapping[str, Any], folder: Path) -> None:
    """Write the program and what it needs to run.

    Args:
        stack: Parsed `cdk.tf.json`.
        folder: Gets `main.ts`, `tsconfig.json` and a link to the installed packages.

    Raises:
        TypeScriptError: The stack holds something that this generator does not know.
    """
    (folder / "main.ts").write_text(_Program(stack).text(), encoding="utf-8")
    shutil.copy(PROJECT / "tsconfig.json", folder)
    (folder / "node_modules").symlink_to(NODE_MODULES)


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """Where two parsed stacks differ, without the metadata in members named `//`."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted((ours.keys() | theirs.keys()) - {"//"}):
            missing = "nothing"
            yield from differences(
                ours.get(key, missing), theirs.get(key, missing), f"{path}.{key}".strip(".")
            )
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    elif ours != theirs or type(ours) is not type(theirs):
        yield f"{path}: {ours!r} against {theirs!r}"


@dataclass(frozen=True)
class _Construct:
    """A block of the stack that becomes one `new X(...)`, and how others refer to it."""

    address: str
    name: str
    submodule: "_Submodule"
    arguments: Mapping[str, Any]


class _Submodule:
    """The declarations of one provider submodule: its class, structs and attributes."""

    def __init__(self, name: str) -> None:
        path = _PROVIDER / name / "index.d.ts"
        if not path.is_file():
            raise TypeScriptError(f"no submodule {name} in {_PROVIDER.parent.name}")
        text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        self.name = name
        self.class_name = _only(r"export declare class (\w+) extends cdktf\.Terraform\w+ ", text)
        self.config = _only(r"constructor\(scope: Construct, id: string, config\??: (\w+)\)", text)
        self.structs = {
            interface: dict(re.findall(r"readonly (\w+)\??:\s*((?:\{.*?\}|[^;{])+);", body, re.S))
            for interface, body in re.findall(
                r"export interface (\w+)[^{]*\{(.*?)^\}", text, re.DOTALL | re.MULTILINE
            )
        }
        self._class_body = text[text.index(f"export declare class {self.class_name} ") :]

    @cached_property
    def attributes(self) -> dict[str, str]:
        """`{getter: TypeScript type}`."""
        return dict(re.findall(r"get (\w+)\(\): ([^;]+);", self._class_body))


class _Program:
    """The text of the program."""

    def __init__(self, stack: Mapping[str, Any]) -> None:
        self._stack = stack
        self._submodules: dict[str, _Submodule] = {}
        self._constructs = {construct.address: construct for construct in self._read_constructs()}

    def text(self) -> str:
        body = "\n".join(
            [
                *self._terraform(),
                *self._variables(),
                *self._terraform_data(),
                *(self._new(construct) for construct in self._in_order()),
                *self._outputs(),
            ]
        )
        used = {construct.submodule.name: construct.submodule for construct in self._in_order()}
        imports = [
            f'import {{ {submodule.class_name} }} from "@cdktf/provider-aws/lib/{name}";'
            for name, submodule in sorted(used.items())
        ]
        name = self._stack["//"]["metadata"]["stackName"]
        return "\n".join(
            [
                "import { App, LocalBackend, TerraformOutput, TerraformResource, TerraformStack, "
                'TerraformVariable } from "cdktf";',
                *imports,
                "",
                "const app = new App();",
                f"const stack = new TerraformStack(app, {json.dumps(name)});",
                body,
                "app.synth();",
                "",
            ]
        )

    def _read_constructs(self) -> Iterator[_Construct]:
        """Providers, data sources and resources, by their addresses."""
        for number, arguments in enumerate(self._stack["provider"]["aws"]):
            address = f"aws.{arguments['alias']}" if "alias" in arguments else "aws"
            yield _Construct(address, f"provider{number}", self._submodule("provider"), arguments)
        number = 0
        for kind, prefix in (("data", "data."), ("resource", "")):
            for type_, blocks in self._stack.get(kind, {}).items():
                if type_ == _TERRAFORM_DATA:
                    continue
                submodule = self._submodule(_kebab(f"{prefix}{type_}"))
                for logical_id, arguments in blocks.items():
                    number += 1
                    address = f"{prefix}{type_}.{logical_id}"
                    yield _Construct(address, f"v{number}", submodule, arguments)

    def _submodule(self, name: str) -> _Submodule:
        if name not in self._submodules:
            self._submodules[name] = _Submodule(name)
        return self._submodules[name]

    def _in_order(self) -> Iterator[_Construct]:
        """Each construct after those that it refers to."""
        done: set[str] = set()

        def visit(construct: _Construct) -> Iterator[_Construct]:
            if construct.address not in done:
                done.add(construct.address)
                for address in self._needed_by(construct):
                    yield from visit(self._constructs[address])
                yield construct

        for construct in self._constructs.values():
            yield from visit(construct)

    def _needed_by(self, construct: _Construct) -> Iterator[str]:
        arguments = construct.arguments
        yield from arguments.get("depends_on", ())
        if "provider" in arguments:
            yield arguments["provider"]
        for match in _REFERENCE.finditer(json.dumps(arguments)):
            yield match["address"]

    def _terraform(self) -> Iterator[str]:
        for key, value in self._stack["terraform"].items():
            if key == "backend":
                if value.keys() != {"local"}:
                    raise TypeScriptError(f"backend {', '.join(value)} is not known here")
                yield f"new LocalBackend(stack, {self._plain(value['local'])});"
            elif key == "required_providers":
                for name, source in value.items():
                    yield f'stack.addOverride("terraform.{key}.{name}", {self._verbatim(source)});'
            else:
                yield f'stack.addOverride("terraform.{key}", {self._verbatim(value)});'

    def _variables(self) -> Iterator[str]:
        for name, arguments in self._stack.get("variable", {}).items():
            constant, id_ = _variable_constant(name), json.dumps(name)
            yield (
                f"const {constant} = new TerraformVariable(stack, {id_}, {self._plain(arguments)});"
            )
            yield f"{constant}.overrideLogicalId({id_});"

    def _terraform_data(self) -> Iterator[str]:
        """Terraform's own resource, of no provider; others refer to it in texts."""
        blocks = self._stack["resource"].get(_TERRAFORM_DATA, {})
        for number, (logical_id, arguments) in enumerate(blocks.items()):
            name, address = f"data{number}", json.dumps(f"{_TERRAFORM_DATA}.{logical_id}")
            members = {
                "terraformResourceType": json.dumps(_TERRAFORM_DATA),
                "lifecycle": self._lifecycle(arguments["lifecycle"], address),
            }
            yield f"const {name} = new TerraformResource(stack, {address}, {_object(members)});"
            yield f"{name}.overrideLogicalId({json.dumps(logical_id)});"
            yield f'{name}.addOverride("input", {self._verbatim(arguments["input"])});'

    def _outputs(self) -> Iterator[str]:
        for name, output in self._stack.get("output", {}).items():
            members = {key: self._verbatim(value) for key, value in output.items()}
            yield f"new TerraformOutput(stack, {json.dumps(name)}, {_object(members)});"

    def _new(self, construct: _Construct) -> str:
        submodule, address = construct.submodule, construct.address
        arguments = {key: value for key, value in construct.arguments.items() if key != "//"}
        members = {}
        if "provider" in arguments:
            members["provider"] = self._constructs[arguments.pop("provider")].name
        if "depends_on" in arguments:
            needed = [self._constructs[address].name for address in arguments.pop("depends_on")]
            members["dependsOn"] = f"[{', '.join(needed)}]"
        if "lifecycle" in arguments:
            members["lifecycle"] = self._lifecycle(arguments.pop("lifecycle"), address)
        members |= self._struct(arguments, submodule, submodule.config)
        created = f"new {submodule.class_name}(stack, {json.dumps(address)}, {_object(members)})"
        if submodule.name == "provider":
            return f"const {construct.name} = {created};"
        logical_id = json.dumps(address.rpartition(".")[2])
        return (
            f"const {construct.name} = {created};\n"
            f"{construct.name}.overrideLogicalId({logical_id});"
        )

    def _lifecycle(self, lifecycle: Mapping[str, Any], address: str) -> str:
        if unknown := lifecycle.keys() - _LIFECYCLE_KEYS:
            raise TypeScriptError(f"{address}: lifecycle {sorted(unknown)} is not known here")
        return self._plain(lifecycle)

    def _struct(
        self, arguments: Mapping[str, Any], submodule: _Submodule, struct: str
    ) -> dict[str, str]:
        """Members of a struct: named in camel case, each written as its declared type says."""
        members = {}
        for key, value in arguments.items():
            declared = submodule.structs[struct].get(_camel(key))
            if declared is None:
                raise TypeScriptError(f"{struct} of {submodule.name} has no {_camel(key)}")
            inner = re.match(r"\w+", declared)
            members[_camel(key)] = (
                self._structs(value, submodule, inner[0])
                if inner and inner[0] in submodule.structs
                else self._verbatim(value)
            )
        return members

    def _structs(self, value: Any, submodule: _Submodule, struct: str) -> str:
        if isinstance(value, list):
            return f"[{', '.join(self._structs(item, submodule, struct) for item in value)}]"
        return _object(self._struct(value, submodule, struct))

    def _plain(self, value: Any) -> str:
        """A value of cdktf's own structs: every key in camel case."""
        if isinstance(value, list):
            return f"[{', '.join(map(self._plain, value))}]"
        if isinstance(value, dict):
            return _object({_camel(key): self._plain(item) for key, item in value.items()})
        return self._verbatim(value)

    def _verbatim(self, value: Any) -> str:
        """A value whose keys, if it has any, are the user's own."""
        if isinstance(value, list):
            return f"[{', '.join(map(self._verbatim, value))}]"
        if isinstance(value, dict):
            return _object({json.dumps(k): self._verbatim(item) for k, item in value.items()})
        return self._string(value) if isinstance(value, str) else json.dumps(value)

    def _string(self, text: str) -> str:
        """A string; where it refers to an attribute by name, the attribute's getter."""
        if whole := (_REFERENCE.fullmatch(text) or _VARIABLE.fullmatch(text)):
            return self._getter(whole, ("string", "number", "string[]")) or json.dumps(text)
        parts, end = [], 0
        for match in _REFERENCE.finditer(text):
            if getter := self._getter(match, ("string", "number")):
                parts += [_template(text[end : match.start()]), f"${{{getter}}}"]
                end = match.end()
        return f"`{''.join(parts)}{_template(text[end:])}`" if parts else json.dumps(text)

    def _getter(self, reference: re.Match[str], types: tuple[str, ...]) -> str:
        """`v12.arn`, or nothing if the attribute is of another type."""
        kind, _, name = reference["address"].partition(".")
        if kind == "var":
            return f"{_variable_constant(name)}.stringValue"
        construct = self._constructs[reference["address"]]
        getter = _camel(reference["attribute"])
        known = construct.submodule.attributes.get(getter) in types
        return f"{construct.name}.{getter}" if known else ""


def _only(pattern: str, text: str) -> str:
    found: set[str] = set(re.findall(pattern, text))
    if len(found) != 1:
        raise TypeScriptError(f"{len(found)} matches of {pattern!r} in a submodule's declarations")
    return found.pop()


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other[:1].upper() + other[1:] for other in others)


def _kebab(type_: str) -> str:
    """Name of the submodule of `aws_iam_role` or `data.aws_iam_policy_document`."""
    return type_.replace("data.", "data_").removeprefix("aws_").replace("_", "-")


def _variable_constant(name: str) -> str:
    return f"var_{name}"


def _object(members: Mapping[str, str]) -> str:
    return f"{{ {', '.join(f'{name}: {value}' for name, value in members.items())} }}"


def _template(text: str) -> str:
    """Text within a template literal."""
    return json.dumps(text)[1:-1].replace('\\"', '"').replace("`", "\\`").replace("${", "\\${")
