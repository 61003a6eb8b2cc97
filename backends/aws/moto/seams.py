"""Where this server reaches into moto: its clock, its randomness, the keys it cannot make again, the roles it must know.

A replay must give what the first run gave: moto draws its identifiers from one generator, which is seeded for each request;
its clock is put to the time of the request, without which messages that were delayed or in flight would be met at the wrong
time; keys of KMS come from the operating system, so they are written down and put back. While a recording is replayed,
nothing leaves moto: no Lambda function runs and no subscriber is called a second time.
"""

from __future__ import annotations

import base64
import datetime as dt
import re
import time
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.aws.moto.wsgi import MotoRequest

ROLE = re.compile(rb"arn:aws[a-z-]*:iam::(\d{12}):role/([\w+=,.@/-]+)")
KMS_CREATE = "TrentService.CreateKey"
CALLERS = ("moto.sns.models", "moto.events.models", "moto.firehose.models")
"""moto's modules that send HTTP requests to addresses of the user's."""


STILL_S = 1.0


class _Clock:
    """Moto's time: it stands still for a request's first second, so that a replay sees the very same times."""

    at = 0.0
    still_until = 0.0
    shown = dt.datetime.fromtimestamp(0, dt.UTC)

    @classmethod
    def put(cls, now: float) -> None:
        cls.at, cls.still_until = now, time.monotonic() + STILL_S
        cls.shown = dt.datetime.fromtimestamp(now, dt.UTC)

    @classmethod
    def now(cls) -> dt.datetime:
        beyond_s = time.monotonic() - cls.still_until
        return cls.shown if beyond_s < 0 else dt.datetime.fromtimestamp(cls.at + beyond_s, dt.UTC)


class _Datetime(dt.datetime):
    """What moto's `utcnow` and `unix_time` ask."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Any:
        if tz is dt.UTC:  # a queue asks once for each of its messages
            return _Clock.now()
        there = _Clock.now().astimezone(tz)
        return there.replace(tzinfo=None) if tz is None else there


def install() -> None:
    """Put moto's clock in place; an error when this moto does not keep time there."""
    utils: Any = import_module("moto.core.utils")
    utils.datetime = SimpleNamespace(**{**vars(dt), "datetime": _Datetime})
    _Clock.put(1e9)
    if abs(utils.unix_time() - 1e9) > 60:
        raise RuntimeError("this version of moto keeps its time elsewhere: its state would not survive a restart")
    _Clock.put(time.time())


def bind_region() -> None:
    """Let moto take the region from the signature alone, not from an address in the URL or the client's name."""
    responses: Any = import_module("moto.core.responses").BaseResponse
    original = responses.get_region_from_url

    def region(self: Any, request: Any, full_url: str) -> str:
        scope = request.headers.get("Authorization", "").split(",")[0].split("/")
        return str(scope[2] if len(scope) == 5 else original(self, request, full_url))

    responses.get_region_from_url = region


def determine(seed: int, now: float) -> None:
    """Put moto's generator and clock to where a request finds them."""
    from moto.moto_api._internal import mock_random

    mock_random.seed(seed)
    _Clock.put(now)


@contextmanager
def nothing_leaves() -> Iterator[None]:
    """Keep a replay from running functions and calling subscribers again."""
    functions: Any = import_module("moto.awslambda.models").LambdaFunction
    modules: list[Any] = [import_module(name) for name in CALLERS]
    kept = [module.requests for module in modules]
    run = functions._invoke_lambda  # noqa: SLF001 - the one place where moto starts a container for a function
    silent = SimpleNamespace(post=lambda *_, **__: None, request=lambda *_, **__: None)
    for module in modules:
        module.requests = silent
    functions._invoke_lambda = lambda *_, **__: ("", False, "")  # noqa: SLF001
    try:
        yield
    finally:
        functions._invoke_lambda = run  # noqa: SLF001
        for module, requests in zip(modules, kept, strict=True):
            module.requests = requests


def keys_made(request: MotoRequest, answer: bytes) -> bytes | None:
    """Write down the material of a KMS key that a request has made; None when it made none."""
    if request.headers.get("x-amz-target") != KMS_CREATE:
        return None
    from cryptography.hazmat.primitives import serialization

    region, key_id = _key_of(orjson.loads(answer)["KeyMetadata"]["Arn"])
    key = _kms(request.account, region).keys[key_id]
    private = key.private_key.private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    material = base64.b64encode(key.key_material).decode()
    return orjson.dumps({"region": region, "id": key_id, "material": material, "private": private.decode()})


def put_keys_back(account: str, kept: bytes) -> None:
    """Restore the material of a replayed KMS key."""
    from cryptography.hazmat.primitives import serialization

    entry = orjson.loads(kept)
    key = _kms(account, entry["region"]).keys[entry["id"]]
    key.key_material = base64.b64decode(entry["material"])
    key.private_key.private_key = serialization.load_pem_private_key(entry["private"].encode(), None)


def _key_of(arn: str) -> tuple[str, str]:
    parts = arn.split(":")
    return parts[3], parts[5].removeprefix("key/")


def _kms(account: str, region: str) -> Any:
    from moto.kms.models import kms_backends

    return kms_backends[account][region]


def roles_in(request: MotoRequest) -> list[tuple[str, str]]:
    """Return the (path, name) of the account's roles that a request names."""
    paths = {match[2].decode() for match in ROLE.finditer(request.body) if match[1].decode() == request.account}
    return [(f"/{path}{slash}", name) for path, slash, name in (text.rpartition("/") for text in sorted(paths))]


def know_role(account: str, path: str, name: str) -> None:
    """Let moto's IAM know a role that this server's IAM has: its Lambda refuses functions of other roles."""
    from moto.iam.models import iam_backends

    backend = iam_backends[account]["aws"]
    if all(role.name != name for role in backend.roles.values()):
        backend.create_role(name, "{}", path, None, "", [], "3600")


def forget(account: str | None) -> None:
    """Forget one account, or (None) everything."""
    if account is None:
        import_module("moto.moto_api._internal.models").moto_api_backend.reset()
        return
    backends: Any = import_module("moto.core.base_backend").BackendDict
    for backend in backends._instances:  # noqa: SLF001 - moto resets through the same list
        dict.pop(backend, account, None)
