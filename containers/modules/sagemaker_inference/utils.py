"""Headers."""


def parse_accept(accept: str) -> list[str]:
    """Return the types of an Accept header."""
    return accept.replace(" ", "").split(",")
