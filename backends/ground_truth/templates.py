"""RenderUiTemplate: what a worker would see of a task. A process of its own renders, so that no template can hold up the server."""

from __future__ import annotations

import asyncio
import html
import json
import re
import secrets
import sys
from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.memory import InMemory
from backends.core.objects import presigned, role_access
from backends.core.objects.store import parse_uri
from backends.core.operation import operation
from backends.ground_truth import render
from backends.ground_truth.operations import UI, template_of

if TYPE_CHECKING:
    from backends.core.context import Context

LONGEST_S = 15.0
COMMAND = (sys.executable, "-I", "-m", render.__name__)
RENDERING = InMemory[asyncio.Semaphore]("ground_truth.rendering", lambda _kernel: asyncio.Semaphore(2))


@operation("RenderUiTemplate", acts_on=("HumanTaskUi",))
async def render_ui_template(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the page of a template and a task; what is wrong with them stands in Errors. ResourceNotFound for no such interface."""
    if ("UiTemplate" in request) == ("HumanTaskUiArn" in request):  # Unverified: AWS's wording
        raise errors.validation("Exactly one of UiTemplate and HumanTaskUiArn must be given.")
    template = request.get("UiTemplate", {}).get("Content")
    if template is None:
        template = await cx.read(lambda inside: template_of(UI.get(inside, request["HumanTaskUiArn"])))
    nonce = secrets.token_hex(8)
    given = {"template": template, "input": request["Task"]["Input"], "nonce": nonce}
    async with RENDERING.of(cx.kernel):
        rendered = await _render(json.dumps(given).encode())
    if rendered["uris"] and not rendered["errors"]:
        await cx.transact(lambda inside: _sign(role_access.as_role(inside, request["RoleArn"]), rendered, nonce))
    return {"RenderedContent": "" if rendered["errors"] else rendered["content"], "Errors": rendered["errors"]}


async def _render(given: bytes) -> dict[str, Any]:
    """Run the other process; what ends it early is an error of the template."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *COMMAND, env={}, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        written, _ = await asyncio.wait_for(process.communicate(given), LONGEST_S)
        rendered: dict[str, Any] = json.loads(written)
    except (TimeoutError, ValueError):
        rendered = render.failed("ResourceLimitExceeded", "The template took more time or memory than a template may.")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return rendered


def _sign(cx: Context, rendered: dict[str, Any], nonce: str) -> None:
    """Put presigned URLs in the places that wait for them, escaped where the template's own text is, by the role's rights."""
    try:
        objects = [parse_uri(uri) for uri in rendered["uris"]]
        for bucket, key in objects:
            role_access.check(cx, bucket, "s3:GetObject", key)
    except errors.AwsError as error:
        rendered["errors"] = [{"Code": error.code, "Message": error.message}]
        return
    urls = presigned.urls(cx, objects)

    def url_at(place: re.Match[str]) -> str:
        url = urls[int(place[1])]
        return url if place[2] == "&" else html.escape(url)

    rendered["content"] = re.sub(rf"{nonce}-(\d+)-(&amp;|&)", url_at, rendered["content"])
