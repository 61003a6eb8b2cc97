"""The hook's class."""

from smdebug.core.hook import BaseHook


class Hook(BaseHook):
    """Cannot be made."""
