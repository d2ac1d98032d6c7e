"""Errors of loading bindings."""


class NodeError(Exception):
    """Node cannot run the kernel of jsii; the message says what to do."""


class UnknownLayoutError(Exception):
    """An assembly is not built like those of prebuilt providers: load it as a whole."""


class UnknownRuntimeError(Exception):
    """The program, or the installed jsii, is not one that this package was tested with."""
