"""Small languages of AWS's (metric math, filter patterns, alarm rules): a grammar of lark's and what each rule becomes."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.core.errors import AwsError


class Language:
    """A grammar; lark is imported and the parser made at first use (40 ms).

    `rules`: the name of each rule -> what its parts become. It is built while it is parsed, so that no depth of nesting is
    one of Python's stack.
    """

    def __init__(self, grammar: str, rules: Mapping[str, Callable[[list[Any]], Any]], *starts: str) -> None:
        self._grammar, self._rules, self._starts = grammar, rules, starts or ("start",)
        self._parser = cache(self._make)

    def _make(self) -> Any:
        from lark import Lark, Transformer

        build: Transformer[Any, Any] = Transformer()
        for rule, make in self._rules.items():
            setattr(build, rule, make)
        return Lark(self._grammar, parser="lalr", start=list(self._starts), transformer=build, maybe_placeholders=False)

    def parse(self, text: str, refusal: AwsError, *, start: str = "") -> Any:
        """Return what a text becomes; raise the refusal for one that is not in the language."""
        from lark.exceptions import LarkError

        try:
            return self._parser().parse(text, start=start or self._starts[0])
        except LarkError as error:
            raise refusal from error
