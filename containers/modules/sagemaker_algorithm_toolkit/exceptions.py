"""Errors of the built-in algorithms."""


class BaseToolkitError(Exception):
    """All of them."""

    def __init__(self, message: str | None = None, caused_by: Exception | None = None) -> None:
        super().__init__(message or str(caused_by or "unknown error occurred"))
        self.message = str(self)
        self.caused_by = caused_by


class AlgorithmError(BaseToolkitError):
    """The algorithm's fault."""


class UserError(BaseToolkitError):
    """The user's fault."""


class PlatformError(BaseToolkitError):
    """The surroundings' fault."""
