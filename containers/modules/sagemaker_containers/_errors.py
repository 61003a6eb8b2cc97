"""Errors."""


class ClientError(Exception):
    """The user's fault."""


class UnsupportedFormatError(Exception):
    """A content type that has no encoder or decoder."""

    def __init__(self, content_type: str) -> None:
        super().__init__(f"Content type {content_type} is not supported by this framework.")
