"""Imports of prebuilt providers: the submodules that are named, instead of all of them.

`import cdktf_cdktf_provider_aws.route53_record` runs the package's `__init__`, which imports its
2,200 submodules one by one. With the finder of this module it runs nothing: the package is a name
whose submodules are imported when they are asked for. What a submodule is stays the provider's own
file; only where the kernel's tarball comes from, and how often type hints are read, change.
"""

import functools
import importlib
import types
import typing
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.resources.abc import TraversableResources
from pathlib import Path
from typing import Any

from jsii import _reference_map

from cdktf_bindings import cache
from cdktf_bindings.kernel import OnDemandProvider

PREFIX = "cdktf_cdktf_provider_"
"""What the names of the Python packages of prebuilt providers begin with."""


class Finder(MetaPathFinder):
    """Finds prebuilt providers, each with its cache entry."""

    def __init__(self, kernel: OnDemandProvider, warn: Callable[[str], None]) -> None:
        """Must be the first in `sys.meta_path`.

        Args:
            kernel: The kernel that will use what is imported.
            warn: Called with a line that says why a provider is imported as a whole.
        """
        self._kernel = kernel
        self._warn = warn
        self._entries: dict[str, cache.Entry] = {}

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`; None leaves the import to Python's own finders."""
        package, _, submodule = fullname.partition(".")
        if not package.startswith(PREFIX) or "." in submodule:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or not isinstance(spec.loader, SourceFileLoader):
            return None
        if not submodule:
            return self._package(spec)
        entry = self._entries.get(package)
        if entry is None:
            return None
        source = spec.loader.path
        if submodule == "_jsii":
            spec.loader = _AssemblyLoader(fullname, source, entry)
        else:
            spec.loader = _SubmoduleLoader(fullname, source, entry, self._kernel)
        return spec

    def _package(self, spec: ModuleSpec) -> ModuleSpec | None:
        try:
            (stock,) = (Path(spec.origin or "").parent / "_jsii").glob("*.jsii.tgz")
            entry = cache.prepare(spec.name, stock, announce=self._warn)
        except Exception as error:
            # Whatever it is, the stock import is right, and slow.
            self._warn(f"{spec.name} is loaded as a whole: {type(error).__name__}: {error}")
            return None
        self._entries[spec.name] = entry
        modules = {name: place.module for name, place in entry.index.submodules.items()}
        # Where jsii finds the class of an object that JavaScript has made.
        _reference_map._submodule_fqn_map.update(
            {f"{entry.index.assembly}.{name}": f"{spec.name}.{m}" for name, m in modules.items()}
        )
        spec.loader = _PackageLoader(sorted(modules.values()))
        return spec


class _PackageLoader(Loader):
    """The package without its `__init__`."""

    def __init__(self, submodules: Sequence[str]) -> None:
        self._submodules = submodules

    def exec_module(self, module: types.ModuleType) -> None:
        def import_submodule(name: str) -> types.ModuleType:
            if name in self._submodules:
                return importlib.import_module(f"{module.__name__}.{name}")
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        module.__dict__.update(
            __all__=list(self._submodules),
            __getattr__=import_submodule,
            __dir__=lambda: sorted({*vars(module), *self._submodules}),
        )


class _AssemblyLoader(SourceFileLoader):
    """`_jsii`, whose tarball is in the cache entry."""

    def __init__(self, fullname: str, path: str, entry: cache.Entry) -> None:
        super().__init__(fullname, path)
        self._entry = entry

    def get_resource_reader(  # type: ignore[override]
        self,
        name: str,  # noqa: ARG002
    ) -> TraversableResources:
        return _EntryResources(self._entry)


class _EntryResources(TraversableResources):
    def __init__(self, entry: cache.Entry) -> None:
        self._entry = entry

    def files(self) -> Path:
        return self._entry.folder


class _SubmoduleLoader(SourceFileLoader):
    """A submodule, checked in the cache before the kernel needs it."""

    def __init__(
        self, fullname: str, path: str, entry: cache.Entry, kernel: OnDemandProvider
    ) -> None:
        super().__init__(fullname, path)
        self._entry = entry
        self._kernel = kernel

    def exec_module(self, module: types.ModuleType) -> None:
        super().exec_module(module)
        index = self._entry.index
        fqns = [getattr(value, "__jsii_type__", None) for value in vars(module).values()]
        submodules = {
            fqn.split(".")[1]
            for fqn in fqns
            if isinstance(fqn, str) and fqn.startswith(f"{index.assembly}.")
        }
        remade = self._entry.check(submodules)
        self._kernel.load_ahead(
            (index.assembly, index.version),
            self._entry.tarball,
            sorted(submodules),
            remade=remade,
        )
        module.__dict__["typing"] = _remembering_typing()
        if check_type := getattr(module, "check_type", None):
            module.__dict__["check_type"] = _remembering(check_type)


@functools.cache
def _remembering_typing() -> types.ModuleType:
    """`typing`, whose `get_type_hints` reads the hints of a function once.

    Generated constructors check their arguments against the hints of a stub, which they resolve for
    every resource: a third of what a resource costs in Python.
    """
    remembering = types.ModuleType("typing")
    remembering.__dict__.update(vars(typing))
    remembering.__dict__["get_type_hints"] = functools.cache(typing.get_type_hints)
    return remembering


def _remembering(check_type: Callable[..., Any]) -> Callable[..., Any]:
    """`check_type`, which asks once whether a hint allows None, a string, a number or a boolean.

    For these the result depends on the type of the value alone, unless a string is looked at as a
    sequence. Hints live as long as the program.
    """
    allowed: set[tuple[type, int]] = set()

    def check(argname: str, value: object, expected_type: Any) -> Any:
        key = (type(value), id(expected_type))
        if key in allowed:
            return None
        result = check_type(argname=argname, value=value, expected_type=expected_type)
        if type(value) in _SCALARS and "Sequence" not in repr(expected_type):
            allowed.add(key)
        return result

    return check


_SCALARS = frozenset({type(None), str, int, float, bool})
