"""A request in, an answer out. What changed moto is on disk before its answer leaves."""

from __future__ import annotations

import base64
import copy
import json
import logging
import re
import secrets
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode, urlsplit

from backends.aws.moto import delivery, functions, half_made, handed_over, journal, recording, replay, seams, wsgi
from backends.aws.moto.wsgi import Answer, MotoRequest
from backends.core import errors, events, other_services
from backends.core.context import DEFAULT_REGION
from backends.core.events import on
from backends.core.memory import InMemory

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context
    from backends.core.db import Transaction
    from backends.core.events import Event
    from backends.core.kernel import Kernel

log = logging.getLogger(__name__)
POLL = "ReceiveMessage"
WAIT_JSON = re.compile(rb'"WaitTimeSeconds"\s*:\s*(\d{1,9})\s*[,}]')
WAIT_FORM = re.compile(rb"(?:^|&)WaitTimeSeconds=(\d{1,9})(?=&|$)")
QUEUE = re.compile(r'QueueUrl["=:\s]+[^"&]*/([^/"&]+)')
LONGEST_WAIT_S = 20


POOL = InMemory[ThreadPoolExecutor]("moto.pool", lambda _kernel: ThreadPoolExecutor(1, thread_name_prefix="moto"))
"""Moto's one thread."""
APP = InMemory[Any]("moto.app", replay.start)
"""Moto's application with its state; made and used on that thread."""


def submit(kernel: Kernel, request: MotoRequest) -> Future[Answer]:
    """Queue a request for moto's thread."""
    return _pool(kernel).submit(_answer, kernel, request)


def _pool(kernel: Kernel) -> ThreadPoolExecutor:
    return POOL.of(kernel)


def _answer(kernel: Kernel, request: MotoRequest) -> Answer:
    app = _app(kernel)
    _know_roles(kernel, request)
    seed, now = secrets.randbits(62), kernel.clocks.now(request.account)
    with journal.opened(kernel, request) as outcomes:
        answer = _run(app, request, seed, now)
    if recording.changes(request) and answer[0] < 400 and recording.worth_keeping(request, answer[2]):
        kept = seams.keys_made(request, answer[2]) or outcomes.written()
        kernel.db.write_blocking(
            partial(_record, kernel, request, now, seed, kept, outcomes.id if outcomes.made else "")
        )
    return answer


def _run(app: Any, request: MotoRequest, seed: int, now: float) -> Answer:
    seams.determine(seed, now)
    return wsgi.run(app, request)


def _record(
    kernel: Kernel, request: MotoRequest, now: float, seed: int, kept: bytes | None, made: str, tx: Transaction
) -> None:
    recording.write(tx, request, now, seed, kept, pending=False)
    if made:
        half_made.finish(kernel, request.account, made, tx)
    tx.after_commit.append(kernel.changed.notify)  # who waits for a message looks again


def _app(kernel: Kernel) -> Any:
    """Return moto's application with its state; on moto's thread."""
    return APP.of(kernel)


def _know_roles(kernel: Kernel, request: MotoRequest) -> None:
    """Register with moto the roles of this server's IAM that a request names."""
    for path, name in seams.roles_in(request):
        try:
            kernel.context(request.account, DEFAULT_REGION).look(partial(_role, name))
        except errors.AwsError:
            continue
        seams.know_role(request.account, path, name)


def _role(name: str, cx: Context) -> dict[str, Any]:
    return cx.call("GetRole", {"RoleName": name}, "iam")


def start(kernel: Kernel) -> None:
    """Go on with what components want of moto and it has not answered, if there is any; let components read what it has."""
    other_services.SEND.set(kernel, send)
    other_services.IS_DELIVERY_ALLOWED.set(kernel, is_delivery_allowed)
    handed_over.hand_over(kernel)
    other_services.FUNCTION.set(kernel, function_of)
    if kernel.db.read_blocking(recording.pending):
        _hand_over(kernel)


async def listening(kernel: Kernel) -> None:
    """Take away what a crash left half-made, and begin a long replay at once; a short one waits until somebody asks for moto."""
    if await kernel.db.read(lambda tx: half_made.unfinished(tx, kernel)):
        _pool(kernel).submit(half_made.unmake, kernel)
    if await kernel.db.read(recording.is_long):
        _pool(kernel).submit(_app, kernel)


def reset(kernel: Kernel, account: str | None) -> None:
    """Forget what moto holds, when it was used at all; the recording is a table, which the kernel empties."""
    if APP.get(kernel) is not None:
        _pool(kernel).submit(seams.forget, account).result()


def stop(kernel: Kernel) -> None:
    """End moto's thread."""
    pool = POOL.get(kernel)
    if pool is not None:
        pool.shutdown()


def send(cx: Context, detail: dict[str, Any]) -> Future[Answer]:
    """Ask moto something at once, for a component that may not import this one: by `core/other_services.py`."""
    return submit(cx.kernel, _request_of(cx, detail))


def is_delivery_allowed(kernel: Kernel, sender: dict[str, str], receiver: str) -> Future[bool]:
    """Return whether a sender may reach a receiver; see `delivery.py`."""
    return _pool(kernel).submit(_is_allowed, kernel, sender, receiver)


def function_of(
    kernel: Kernel, account: str, region: str, name: str, qualifier: str, with_code: bool
) -> Future[dict[str, Any]]:
    """Read a Lambda function as moto has it; see `functions.py`."""

    def read() -> dict[str, Any]:
        _app(kernel)
        return functions.described(account, region, name, qualifier, with_code=with_code)

    return _pool(kernel).submit(read)


def resource_policy(kernel: Kernel, arn: str) -> Future[str]:
    """Return the text of a resource's policy; empty where there is none."""
    return _pool(kernel).submit(lambda: delivery.policy_of(arn, _sender(kernel)))


def _is_allowed(kernel: Kernel, sender: dict[str, str], receiver: str) -> bool:
    return delivery.is_allowed(sender, receiver, _sender(kernel))


def _sender(kernel: Kernel) -> Callable[[str, dict[str, Any]], Answer]:
    def send_as(account: str, detail: dict[str, Any]) -> Answer:
        return _answer(kernel, _request_of(kernel.context(account, detail["region"]), detail))

    return send_as


@on("AwsCall", name="aws.moto.door.take_call")
def take_call(cx: Context, event: Event) -> None:
    """Write down what a component wants of a service of moto's, and do it once that is committed."""
    request = _request_of(cx, event.detail)
    about = {"arn": event.arn, "region": cx.region, **event.detail.get("about", {})}
    sender = {"service": "", "account": cx.account, "arn": event.arn, **event.detail.get("sender", {})}
    receiver = delivery.receiver_of(event.detail)
    if delivery.is_foreign(sender, receiver):
        about |= {"sender": sender, "receiver": receiver}
    request.headers["x-localmaker-about"] = json.dumps(about)
    recording.write(cx.transaction, request, cx.clock.now(), secrets.randbits(62), None, pending=True)
    assert cx.tx is not None
    cx.tx.after_commit.append(partial(_hand_over, cx.kernel))


def _hand_over(kernel: Kernel) -> None:
    _pool(kernel).submit(_do_pending, kernel)


def _request_of(cx: Context, detail: dict[str, Any]) -> MotoRequest:
    """Write the request that botocore would send; its signature says which service, and is not looked at."""
    from botocore.serialize import create_serializer

    from api_specs import model

    service, region = detail["service"], detail["region"]
    operation = model.operation(detail["operation"], service)
    metadata, protocol = operation.service_model.metadata, other_services.protocol_of(service)
    name = metadata.get("signingName", metadata["endpointPrefix"])
    parameters = _with_blobs(detail["parameters"], detail.get("blobs", {}))
    made = create_serializer(protocol, include_validation=False).serialize_to_request(parameters, operation)
    body = made["body"]
    if isinstance(body, dict):  # query: a form
        body = urlencode(body)
    signed = f"AWS4-HMAC-SHA256 Credential={cx.account}/20260101/{region}/{name}/aws4_request, SignedHeaders=host, Signature=0"
    headers = {"host": f"{name}.{region}.amazonaws.com", "authorization": signed}
    headers |= {name.lower(): str(value) for name, value in made["headers"].items()}
    path = urlsplit(made["url_path"])
    query = path.query or urlencode(made["query_string"] or {})
    content = body.encode() if isinstance(body, str) else bytes(body)
    return MotoRequest(made["method"], path.path, query, headers, content, cx.account)


def _with_blobs(parameters: dict[str, Any], blobs: dict[str, str]) -> dict[str, Any]:
    """Put bytes, which an event cannot hold, to their places: `{"Record.Data": <base64>}`."""
    if not blobs:  # a call of this process, whose bytes are bytes
        return parameters
    copied = copy.deepcopy(parameters)
    for place, text in blobs.items():
        *parents, last = place.split(".")
        inner = copied
        for name in parents:
            inner = inner.setdefault(name, {})
        inner[last] = base64.b64decode(text)
    return dict(copied)


def _do_pending(kernel: Kernel) -> None:
    """Do what components want, in order; on moto's thread. A crash before the last line does it again on a moto without it."""
    app = _app(kernel)
    for row in kernel.db.read_blocking(recording.pending):
        request, now = recording.request_of(row), kernel.clocks.now(row.account)
        about = json.loads(request.headers.get("x-localmaker-about", "{}"))
        try:
            if "sender" in about and not _is_allowed(kernel, about["sender"], about["receiver"]):
                status, content = 403, f"{about['receiver']} has no policy that allows it.".encode()
            else:
                with journal.opened(kernel, request):
                    status, _, content = _run(app, request, row.seed, now)
            failure = "" if status < 400 else content.decode(errors="replace")[:300]
        except Exception as error:
            log.exception("moto failed on %s", recording.operation_of(request))
            failure = repr(error)
        kernel.db.write_blocking(partial(_done, kernel, row, request, now, failure))


def _done(kernel: Kernel, row: Any, request: MotoRequest, now: float, failure: str, tx: Transaction) -> None:
    recording.remove(tx, row.id)
    about = json.loads(request.headers.get("x-localmaker-about", "{}"))
    if not failure and recording.changes(request):
        _record(kernel, request, now, row.seed, None, "", tx)
    if failure:
        log.warning("%s cannot be called: %s", about.get("arn"), failure)
    cx = kernel.context(row.account, about.get("region", ""), tx=tx)
    events.emit(cx, "AwsCallDone", about.get("arn", ""), "", "Failed" if failure else "Done", failure, about)


def long_poll(request: MotoRequest) -> tuple[MotoRequest, int | None]:
    """Return a request that does not wait, and how long its client wants to (None: as long as the queue says).

    Moto itself would wait on its only thread, where nobody could send what is waited for.
    """
    if recording.operation_of(request) != POLL:
        return request, 0
    form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    matched = (WAIT_FORM if form else WAIT_JSON).search(request.body)
    wait_s = None if matched is None else int(matched[1])
    if wait_s is not None and wait_s > LONGEST_WAIT_S:
        return request, 0  # moto refuses it
    body = request.body if matched is None else request.body[: matched.start(1)] + b"0" + request.body[matched.end(1) :]
    if matched is None:
        body = body + b"&WaitTimeSeconds=0" if form else body.rstrip()[:-1] + b', "WaitTimeSeconds": 0}'
    return MotoRequest(request.method, request.path, request.query, request.headers, body, request.account), wait_s


def queue_wait_s(kernel: Kernel, request: MotoRequest) -> Future[int]:
    """Ask on moto's thread how long polls of a request's queue wait by default; 0 when there is no such queue."""
    return _pool(kernel).submit(_queue_wait_s, kernel, request)


def _queue_wait_s(kernel: Kernel, request: MotoRequest) -> int:
    _app(kernel)
    from moto.sqs.models import sqs_backends

    region = request.headers.get("authorization", "").partition("Credential=")[2].split("/")[2:3]
    named = QUEUE.search(unquote(request.body.decode("latin-1")))
    queues = sqs_backends[request.account][region[0] if region else DEFAULT_REGION].queues
    queue = queues.get(named[1]) if named is not None else None
    return 0 if queue is None else int(vars(queue).get("receive_message_wait_time_seconds") or 0)


def has_messages(answer: Answer) -> bool:
    """Return whether a poll need not wait any longer: it has a message, or an error."""
    return answer[0] >= 400 or b"MessageId" in answer[2]
