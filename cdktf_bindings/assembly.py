"""A stock jsii assembly, split into its submodules.

What comes out is what `kernel.cjs` reads: a small tarball for the kernel, and for each submodule
its types and code, to be read alone. Docs, source maps and TypeScript declarations, nine tenths of
the bytes, stay behind: the kernel has no use for them.
"""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdktf_bindings.errors import UnknownLayoutError

_SOURCE_MAP = "//# sourceMappingURL="
_LEFT_OUT_OF_TYPES = frozenset({"docs", "locationInModule", "sourceLine"})
_LEFT_OUT_OF_ASSEMBLY = frozenset({"types", "submodules", "readme", "dependencyClosure"})
_INDEX_JS = """"use strict";
module.exports = process[Symbol.for("cdktf_bindings")]({name}, module);
"""


@dataclass(frozen=True)
class Submodule:
    """One submodule of an assembly.

    Attributes:
        folder: Its folder below lib/, such as `route53-record`.
        content: gzip of the JSON `{"types": {fqn: type}, "main": path, "files": {path: source}}`.
    """

    folder: str
    content: bytes


@dataclass(frozen=True)
class SplitAssembly:
    """An assembly in parts.

    Attributes:
        name: Such as `@cdktf/provider-aws`.
        version: Its version.
        tarball: What the kernel loads first: metadata without types, and code that asks for more.
        submodules: `{name: submodule}`, such as `route53Record`.
    """

    name: str
    version: str
    tarball: bytes
    submodules: Mapping[str, Submodule]


def split(stock: Path) -> SplitAssembly:
    """Read a stock assembly and take it apart. Takes seconds, and some 800 MB for AWS.

    Args:
        stock: The tarball in a provider's `_jsii` folder.

    Returns:
        Its parts; the same bytes for the same tarball.

    Raises:
        UnknownLayoutError: A type or a source file belongs to no submodule.
    """
    package, assembly, sources = _read(stock)
    name = assembly["name"]
    types = _types_by_submodule(assembly)
    files = _files_by_folder(sources)
    submodules = {}
    for fqn, described in sorted(assembly.get("submodules", {}).items()):
        # "src/route53-record/index:" is the TypeScript file that the submodule was made from.
        folder = described.get("symbolId", "").removeprefix("src/").removesuffix("/index:")
        main = f"{folder}/index.js"
        if main not in files.get(folder, {}):
            raise UnknownLayoutError(f"submodule {fqn} has no lib/{main}")
        submodules[fqn.removeprefix(f"{name}.")] = Submodule(
            folder,
            _compressed({"types": types.pop(fqn, {}), "main": main, "files": files[folder]}),
        )
    if types or not submodules:
        raise UnknownLayoutError(f"types outside of submodules: {', '.join(sorted(types)[:3])}")
    metadata = {key: value for key, value in assembly.items() if key not in _LEFT_OUT_OF_ASSEMBLY}
    tarball = _tarball(
        {
            "package.json": package,
            ".jsii": json.dumps(metadata | {"types": {}}).encode(),
            "lib/index.js": _INDEX_JS.replace("{name}", json.dumps(name)).encode(),
        }
    )
    return SplitAssembly(name, assembly["version"], tarball, submodules)


def _read(stock: Path) -> tuple[bytes, dict[str, Any], dict[str, str]]:
    """package.json, the parsed .jsii, and every source file by its path below lib/."""
    package, assembly = b"", None
    sources = {}
    with tarfile.open(stock, "r|gz") as archive:
        for member in archive:
            name = member.name.removeprefix("package/")
            wanted = name in ("package.json", ".jsii", ".jsii.gz") or name.endswith(".js")
            content = archive.extractfile(member) if wanted else None
            if content is None:
                continue
            if name == "package.json":
                package = content.read()
            elif name == ".jsii.gz":
                assembly = json.loads(gzip.decompress(content.read()))
            elif name == ".jsii":
                parsed = json.loads(content.read())
                assembly = assembly if parsed.get("schema") == "jsii/file-redirect" else parsed
            elif name.startswith("lib/"):
                source = content.read().decode()
                sources[name.removeprefix("lib/")] = source[: _end_of_code(source)]
    if not package or assembly is None:
        raise UnknownLayoutError(f"{stock} holds no package.json and .jsii")
    return package, assembly, sources


def _end_of_code(source: str) -> int:
    """Where the trailing source map begins."""
    start = source.rfind(_SOURCE_MAP)
    return start if start >= 0 and "\n" not in source[start:].rstrip() else len(source)


def _types_by_submodule(assembly: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for fqn, described in assembly.get("types", {}).items():
        found.setdefault(fqn.rpartition(".")[0], {})[fqn] = _without_docs(described)
    return found


def _without_docs(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_docs(v) for k, v in value.items() if k not in _LEFT_OUT_OF_TYPES}
    if isinstance(value, list):
        return [_without_docs(item) for item in value]
    return value


def _files_by_folder(sources: Mapping[str, str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for path, source in sources.items():
        folder, _, _ = path.partition("/")
        found.setdefault(folder, {})[path] = source
    return found


def _compressed(value: Any) -> bytes:
    return gzip.compress(json.dumps(value).encode(), compresslevel=4, mtime=0)


def _tarball(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)
