"""The process that renders one template: `python -m` reads a request from stdin and writes what came of it to stdout, as JSON.

Nothing of a template reaches a file: includes find none, and the process may open none that it would write. Loops, output,
memory and time are bounded: filters alone can make gigabytes of a short text, which no limit of the library sees.
Source: developer guide, "Step 2: Creating your custom worker task template" (its filters beside Liquid's own).
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liquid import Environment

MOST_BYTES, MOST_CPU_S, MOST_OUTPUT, MOST_ROUNDS = 256 << 20, 2, 4 << 20, 100_000


def failed(code: str, message: str) -> dict[str, Any]:
    """Return what came of a template that cannot be rendered. Unverified: AWS's codes."""
    return {"content": "", "errors": [{"Code": code, "Message": message}], "uris": []}


def environment(nonce: str, uris: list[str]) -> Environment:
    """Return Liquid with autoescape and Ground Truth's filters; URIs to be signed are collected, places for them left."""
    import liquid
    from markupsafe import Markup

    class Bounded(liquid.Environment):
        loop_iteration_limit = MOST_ROUNDS
        output_stream_limit = MOST_OUTPUT
        local_namespace_limit = MOST_OUTPUT

    def grant_read_access(uri: object) -> str:
        uris.append(str(uri))
        return f"{nonce}-{len(uris) - 1}-&"  # whether its end is escaped says whether the URL must be

    bounded = Bounded(autoescape=True)
    bounded.add_filter("to_json", json.dumps)
    bounded.add_filter("skip_autoescape", lambda value: Markup(str(value)))  # noqa: S704 - what the filter is for
    bounded.add_filter("grant_read_access", grant_read_access)
    return bounded


def rendered(template: str, task_input: str, nonce: str) -> dict[str, Any]:
    """Render a template for a task's input, which is JSON."""
    from liquid.exceptions import LiquidError

    uris: list[str] = []
    try:
        given = json.loads(task_input)
    except (ValueError, RecursionError) as error:
        return failed("InvalidTaskInput", f"Task.Input must be JSON: {error}")
    try:
        content = environment(nonce, uris).from_string(template).render(task={"input": given})
    except LiquidError as error:
        return failed(type(error).__name__.removesuffix("Error"), str(error))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        return failed("RenderingFailure", str(error))
    return {"content": content, "errors": [], "uris": uris}


def _limit() -> None:
    import resource

    for kind, most in ((resource.RLIMIT_AS, MOST_BYTES), (resource.RLIMIT_CPU, MOST_CPU_S), (resource.RLIMIT_FSIZE, 0)):
        with contextlib.suppress(OSError, ValueError):  # macOS knows no limit of address space
            resource.setrlimit(kind, (most, most))


def main() -> None:
    """Render what stdin has; a template that runs out of memory ends the process without a word."""
    request = json.load(sys.stdin)
    environment("", [])  # imports what rendering needs
    _limit()
    sys.stdout.write(json.dumps(rendered(request["template"], request["input"], request["nonce"])))


if __name__ == "__main__":
    main()
