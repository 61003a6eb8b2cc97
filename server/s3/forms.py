"""Uploads by a browser's form, which the model has no operation for. Source: S3 API Reference, "POST Object"."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from api_specs import model
from backends.aws.s3 import failures, objects, post_policy, tags
from server import authorize, body, route
from server.authentication import forms
from server.protocol import protocol_of, xml_write
from server.s3 import requests
from server.types import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.exchange import Exchange
    from server.form import Form


NOT_HEADERS = {"key", "policy", "signature", "awsaccesskeyid", "success_action_status", "success_action_redirect",
               "redirect", "submit", "file", "bucket", "acl", "tagging"}  # fmt: skip


async def upload(exchange: Exchange) -> None:
    """Answer a form that uploads a file."""
    if not route.is_upload(exchange.request):
        return
    bucket, _, key = requests.path_of(exchange)
    if bucket and not key:
        exchange.response = await _upload(exchange, bucket)


async def _upload(exchange: Exchange, bucket: str) -> HttpResponse:
    """Store a form's file: its fields are PutObject's headers, and its policy, if it has one, must hold."""
    from server import form  # and with it python-multipart

    request = exchange.request
    request.stream = body.stream(exchange.receive)
    read = await form.read(request.stream, request.headers["content-type"])
    fields = read.fields
    if "key" not in fields:
        text = (
            "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields."
        )
        raise failures.invalid_argument(text, "key")
    if read.file is None:
        text = "POST requires exactly one file upload per request."
        raise failures.invalid_argument(text, "file", 0)
    key = fields["key"].replace("${filename}", read.filename)
    policy = _policy(exchange, read, bucket, key)
    sent = HttpRequest("PUT", f"/{bucket}/{key}", f"/{bucket}/{quote(key)}".encode(), b"", _headers(fields))
    sent.stream = _counted(read.file, policy)
    put = model.operation("PutObject", "s3")
    protocol: Any = protocol_of(model.load_service("s3"))
    sent.matched = (put, {"Bucket": bucket, "Key": key})
    given = protocol.parse(put, sent)
    if "tagging" in fields:
        given["Tagging"] = _tagging(fields["tagging"])
    if "acl" in fields:
        given["ACL"] = fields["acl"]
    exchange.operation, exchange.input = put, given
    await authorize.authorize(exchange)
    cx = exchange.context()
    told = {name: text for name, text in cx.headers.items() if name[0] == ":"}
    made = await objects.put(exchange.kernel.context(
        cx.account, cx.region, caller=cx.caller, request_id=exchange.request_id, headers={**sent.headers, **told}
    ), given, "Post")  # fmt: skip
    return _answer(exchange, fields, bucket, key, made)


def _policy(exchange: Exchange, form: Form, bucket: str, key: str) -> post_policy.PostPolicy | None:
    """Take a form's signer for the principal, and check its policy."""
    forms.authenticate(exchange, form)
    if "policy" not in form.fields:
        return None
    policy = post_policy.parse(form.fields["policy"])
    post_policy.check(policy, {**form.fields, "key": key}, bucket, time.time())
    return policy


async def _counted(chunks: AsyncIterator[bytes], policy: post_policy.PostPolicy | None) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        post_policy.check_size(policy, size, ended=False)
        yield chunk
    post_policy.check_size(policy, size, ended=True)


def _headers(fields: dict[str, str]) -> dict[str, str]:
    kept = {name: text for name, text in fields.items() if name not in NOT_HEADERS and not name.startswith("x-ignore-")}
    # The form's own signature is not PutObject's; a header's bytes are read as latin-1.
    kept = {name: text for name, text in kept.items() if name not in {"x-amz-signature", "x-amz-credential"}}
    return {name: text.encode().decode("latin-1") for name, text in kept.items()}


def _tagging(document: str) -> str:
    """Turn a form's `<Tagging>` document into the header's spelling."""
    from server.protocol import xml_read

    shape = model.load_service("s3").shape_for("Tagging")
    read = xml_read.reader(model.load_service("s3"), shape)(xml_read.load(document.encode()))
    try:
        pairs = [(tag["Key"], tag["Value"]) for tag in read["TagSet"]]
    except KeyError:
        raise failures.malformed_xml() from None
    return urlencode(list(tags.checked(pairs).items()))


def _redirect(fields: dict[str, str]) -> SplitResult:
    """Read where the form wants its browser to go next: nowhere, if that is no URL."""
    try:
        return urlsplit(fields.get("success_action_redirect") or fields.get("redirect") or "")
    except ValueError:
        return urlsplit("")


def _answer(exchange: Exchange, fields: dict[str, str], bucket: str, key: str, made: dict[str, Any]) -> HttpResponse:
    """Answer as the form wished: 204, 200 or 201 with a document, or a redirect that names what was made."""
    place = f"{exchange.scope.get('scheme', 'http')}://{exchange.request.host}/{bucket}/{quote(key)}"
    headers = [("x-amz-request-id", exchange.request_id), ("ETag", made["ETag"]), ("Location", place)]
    if "VersionId" in made:
        headers.append(("x-amz-version-id", made["VersionId"]))
    parts = _redirect(fields)
    if parts.scheme in {"http", "https"}:
        query = [
            *parse_qsl(parts.query, keep_blank_values=True),
            ("bucket", bucket),
            ("key", key),
            ("etag", made["ETag"]),
        ]
        target = urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))
        return HttpResponse(303, [*headers[:2], ("Location", target)])
    status = fields.get("success_action_status", "204")
    if status == "201":
        parts_of = {"Location": place, "Bucket": bucket, "Key": key, "ETag": made["ETag"]}
        inner = "".join(f"<{name}>{xml_write.escape(text)}</{name}>" for name, text in parts_of.items())
        document = f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{inner}</PostResponse>'.encode()
        return HttpResponse(201, [*headers, ("Content-Type", "application/xml")], document)
    return HttpResponse(200 if status == "200" else 204, headers)
