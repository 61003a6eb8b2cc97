"""Errors."""


class SMDebugError(Exception):
    """All of them."""


class SMDebugTypeError(SMDebugError, TypeError):
    """A wrong type."""


class SMDebugValueError(SMDebugError, ValueError):
    """A wrong value."""


class SMDebugRuntimeError(SMDebugError, RuntimeError):
    """Something that cannot be done now."""


class SMDebugNotImplementedError(SMDebugError, NotImplementedError):
    """Something that is not there."""
