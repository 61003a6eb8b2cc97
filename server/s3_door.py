"""What browsers send to S3 and the model has no operation for: CORS preflights, and uploads by a form.

Sources: S3 API Reference, "POST Object"; S3 User Guide, "Using cross-origin resource sharing (CORS)".
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, unquote_to_bytes, urlencode, urlsplit, urlunsplit

from api_specs import model
from backends.aws.s3 import access, cors, failures, objects, post_policy, tags
from backends.core.errors import AwsError
from server import authentication, authorize, body, browser, route
from server.authentication import forms
from server.protocol import protocol_of, xml_write
from server.types import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backends.core.objects import Bucket
    from server.form import Form
    from server.gateway import Exchange

API_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")  # Lambda's and others' paths begin with one
FORM = "multipart/form-data"
NOT_HEADERS = {"key", "policy", "signature", "awsaccesskeyid", "success_action_status", "success_action_redirect",
               "redirect", "submit", "file", "bucket", "acl", "tagging"}  # fmt: skip


def is_form(request: HttpRequest) -> bool:
    """Return whether a request is a form with a file, which only S3 takes."""
    return request.method == "POST" and request.headers.get("content-type", "").startswith(FORM)


async def authenticate(exchange: Exchange) -> None:
    """Verify who signed.

    S3 also takes what nobody signed: preflights, forms that bring their own signature, and, in a bucket whose policy
    speaks of others, requests that this policy judges (`backends/aws/s3/access.py`). They come from no account.
    """
    assert exchange.identity is not None
    settings = exchange.kernel.settings
    if exchange.service == "s3" and exchange.request.method == "OPTIONS":
        return  # browsers send no credentials with a preflight, but the query of a presigned URL
    if (
        exchange.service == "s3"
        and not exchange.identity.caller.access_key
        and "enforce" in {settings.auth, settings.iam}
    ):
        exchange.identity = replace(exchange.identity, account="")
        if is_form(exchange.request):
            return
        name, _, key = _path(exchange)
        bucket = await _asked(exchange)
        if bucket is None and _is_missing(exchange.request, name, key):
            raise failures.no_such_bucket(name)
        if bucket is not None and access.POLICY in bucket.settings:
            return
    await authentication.authenticate(exchange)


async def refuse_foreign(exchange: Exchange) -> None:
    """Refuse a page of another origin, unless it asks a bucket whose CORS rules let it in, or asks what they are."""
    if exchange.foreign and exchange.service == "s3" and "origin" in exchange.request.headers:
        if exchange.request.method == "OPTIONS":
            return
        bucket = await _asked(exchange)
        if bucket is not None and cors.answer_headers(
            bucket, exchange.request.headers["origin"], exchange.request.method
        ):
            return
    await browser.refuse_foreign(exchange)


async def answer(exchange: Exchange) -> HttpResponse | None:
    """Answer a preflight or a form upload; None for anything else."""
    request = exchange.request
    bucket, _, key = _path(exchange)
    if not bucket:
        return None
    if request.method == "OPTIONS":
        found = await _bucket(exchange, bucket)
        headers = cors.preflight(found, request.headers, of_object=bool(key))
        return HttpResponse(200, [("x-amz-request-id", exchange.request_id), *headers.items()])
    if is_form(request) and not key:
        return await _upload(exchange, bucket)
    return None


async def add_cors(exchange: Exchange, response: HttpResponse) -> None:
    """Add to an answer what lets a page of another origin read it, where the bucket has rules for that."""
    request = exchange.request
    if request.method == "OPTIONS" or request.headers["origin"] in browser.listed(
        exchange.kernel.settings.allowed_origins
    ):
        return  # said already: by the preflight's answer, or by `browser.finish`
    found = await _asked(exchange)
    if found is not None:
        response.headers += cors.answer_headers(found, request.headers["origin"], request.method).items()


def _path(exchange: Exchange) -> tuple[str, str, str]:
    """Split a request's path into bucket, slash and key."""
    return unquote(exchange.request.raw_path.decode("latin-1")).removeprefix("/").partition("/")


def _is_missing(request: HttpRequest, bucket: str, key: str) -> bool:
    """Return whether a request that nobody signed is for a bucket, and not to make it; other services have paths, too."""
    if not bucket or (request.method == "PUT" and not key) or API_VERSION.fullmatch(bucket):
        return False
    return not route.is_runtime(request)


def check_path(request: HttpRequest) -> None:
    """Raise InvalidURI for a path or a query that is not UTF-8."""
    for raw in (request.raw_path, request.query_string):
        try:
            if b"%" in raw or not raw.isascii():
                unquote_to_bytes(raw).decode()
        except UnicodeDecodeError:
            raise failures.invalid_uri(raw.decode("latin-1")) from None


def check_length(request: HttpRequest) -> None:
    """Raise MissingContentLength for an upload that says nothing of its size."""
    if "content-length" not in request.headers and "transfer-encoding" not in request.headers:
        raise AwsError("MissingContentLength", "You must provide the Content-Length HTTP header.", 411)


async def _asked(exchange: Exchange) -> Bucket | None:
    """Find the bucket that a request's path names."""
    name = _path(exchange)[0]
    try:
        return await _bucket(exchange, name) if name and exchange.identity is not None else None
    except AwsError:
        return None


async def _bucket(exchange: Exchange, name: str) -> Bucket:
    found = await exchange.kernel.db.read(
        lambda tx: exchange.kernel.objects.bucket(exchange.context().inside(tx), name)
    )
    if found is None:
        raise failures.no_such_bucket(name)
    return found


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
    """Take a form's signer for who asks, and check its policy."""
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
