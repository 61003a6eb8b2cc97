"""Functions for the tests."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.site import Site


def zipped(**files: str) -> bytes:
    """Return a zip of Python modules by their names."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        for name, text in files.items():
            packed.writestr(f"{name.replace('__', '/')}.py", text)
    return made.getvalue()


def function(site: Site, code: str, **members: Any) -> str:
    """Create a function whose handler is `handle` in `code`; give its name."""
    name = f"function-{uuid.uuid4().hex[:8]}"
    site.client("lambda").create_function(
        FunctionName=name,
        **{
            "Runtime": "python3.12",
            "Role": site.role,
            "Handler": "app.handle",
            "Code": {"ZipFile": zipped(app=code)},
            **members,
        },
    )
    return name


def invoke(site: Site, name: str, event: Any = None, **members: Any) -> tuple[Any, dict[str, Any]]:
    """Invoke a function; give what it answers, read, and the whole answer."""
    answer = site.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event), **members)
    text = answer["Payload"].read()
    return json.loads(text) if text else None, answer
