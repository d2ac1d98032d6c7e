"""What can stand in the way of loading bindings."""


class NodeError(Exception):
    """Node cannot run the kernel of jsii; the message says what to do."""


class UnknownLayoutError(Exception):
    """An assembly is not built as prebuilt providers are: it is to be loaded whole."""


class UnknownRuntimeError(Exception):
    """The program, or the installed jsii, is not as this package was tried with."""
