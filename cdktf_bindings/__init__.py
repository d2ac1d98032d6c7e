"""Prebuilt Terraform providers, loaded by the submodule.

Stock, the first import of `cdktf_cdktf_provider_aws` costs 8 to 15 s: Python imports 2,200
modules, and Node as many. Call `install()` before the first import of `cdktf`, and import as ever:

    import cdktf_bindings as bindings

    bindings.install()

    from cdktf_cdktf_provider_aws.route53_record import Route53Record

The first program that imports a provider prepares it, in seconds, and keeps the result in the
user's cache folder. The Terraform JSON is the same to the byte. Where anything is not as it was
when this was tried (another layout, another jsii), the stock import is used, with one line of
warning.

Environment variables: `FAILOVER_BINDINGS=stock` turns all of it off, `FAILOVER_BINDINGS_CACHE`
names another cache folder. An entry of the cache is made of code that will run: one that others
could have written is not used.
"""

import os
import sys
from pathlib import Path

from cdktf_bindings.errors import NodeError, UnknownRuntimeError
from cdktf_bindings.node import Node

__all__ = ["NodeError", "install"]

MODE_VARIABLE = "FAILOVER_BINDINGS"
PACKAGE_CACHE = "JSII_RUNTIME_PACKAGE_CACHE"
_XDG = (".cache", "aws", "jsii")


def install() -> None:
    """Let this program load providers by the submodule. A second call does nothing.

    Raises:
        NodeError: Not here, but from the first use of cdktf: no Node can run it. The message says
            which was found, and what to do.
    """
    global _installed
    if _installed:
        return
    _installed = True
    _do_without_a_cache_that_cannot_be_made()
    mode = os.environ.get(MODE_VARIABLE, "")
    if mode == "stock":
        return
    try:
        if reason := _why_not(mode):
            raise UnknownRuntimeError(reason)
        _install(Node())
    except Exception as error:
        # Whatever it is, the stock import is right, and slow. Its banner about old Nodes, seven
        # lines, would drown this one.
        os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "18,20")
        _warn(f"providers are loaded as a whole: {error}")


def _install(node: Node) -> None:
    # Not at the top: while Python imports these, Node is at work.
    import jsii

    from cdktf_bindings.importing import Finder
    from cdktf_bindings.kernel import OnDemandProvider

    jsii.kernel.provider = provider = OnDemandProvider(node)
    sys.meta_path.insert(0, Finder(provider, _warn))


_installed = False


def _do_without_a_cache_that_cannot_be_made() -> None:
    """Turn off jsii's own cache where its folder cannot be made, in stock mode, too.

    Below a home directory such as /proc/nobody, jsii 1.142 tries again for ever.
    """
    if PACKAGE_CACHE in os.environ:
        return
    root = os.environ.get(f"{PACKAGE_CACHE}_ROOT")
    parts = ("Library", "Caches", "com.amazonaws.jsii") if sys.platform == "darwin" else _XDG
    try:
        folder = Path(root) if root else Path.home().joinpath(*parts, "package-cache")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        os.environ[PACKAGE_CACHE] = "disabled"


def _why_not(mode: str) -> str:
    if mode:
        return f"{MODE_VARIABLE} is {mode!r}; only 'stock' means something, or leave it unset"
    if os.name != "posix":
        return "only Linux and macOS are supported"
    if "constructs" in sys.modules or "cdktf" in sys.modules:
        return "cdktf was imported before bindings.install() was called"
    if any(os.environ.get(name) for name in ("JSII_RUNTIME", "JSII_DEBUG", "JSII_DEBUG_TIMING")):
        return "a variable JSII_RUNTIME, JSII_DEBUG or JSII_DEBUG_TIMING is set"
    return ""


def _warn(line: str) -> None:
    print(f"bindings: {line}", file=sys.stderr)
