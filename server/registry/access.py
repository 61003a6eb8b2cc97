"""Who visits, and what he may: `docker login`'s token in Basic authentication, verified under LOCALMAKER_AUTH=enforce.

Without `enforce` nobody has to log in, as no signature has to hold; whoever does is known by his token all the same.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from backends.aws.ecr import scope, tokens
from backends.core import keys
from backends.core.context import Caller
from server import authorize
from server.authentication import keyring
from server.identify import Identity
from server.registry.replies import RegistryError, Visit

if TYPE_CHECKING:
    from backends.aws.ecr.tokens import Token
    from backends.core.kernel import Kernel
    from server.exchange import Exchange

EXPIRED = "Your authorization token has expired. Reauthenticate and try again."


def token_of(exchange: Exchange) -> Token | None:
    """Read and verify the token; None where nobody has to have one. 401 asks Docker for one."""
    kernel = exchange.kernel
    token = _sent(exchange)
    if kernel.settings.auth == "off":
        return token if token is not None and _is_good(kernel, token) else None
    if token is None or not _is_good(kernel, token):
        realm = f'Basic realm="http://{exchange.request.host}/",service="ecr.amazonaws.com"'
        raise RegistryError(401, "UNAUTHORIZED", "Not Authorized", (("WWW-Authenticate", realm),))
    if token.expires < kernel.clocks.now(token.account):
        raise RegistryError(403, "DENIED", EXPIRED)
    return token


def _sent(exchange: Exchange) -> Token | None:
    """Read the token that was sent; the address of a layer (GetDownloadUrlForLayer) may hold one for itself."""
    request = exchange.request
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        return tokens.read(exchange.kernel, password) if user == tokens.USER else None
    if request.method in {"GET", "HEAD"} and request.query_string:
        password = parse_qs(request.query_string.decode("latin-1")).get("token", [""])[0]
        return tokens.read(exchange.kernel, password, request.path)
    return None


def _is_good(kernel: Kernel, token: Token) -> bool:
    """Return whether the key that asked for a token is still good; the server's own tokens have none."""
    if not token.access_key:
        return True
    if kernel.settings.auth == "off" and not token.access_key.startswith(keys.PREFIXES):
        return True
    key = keyring.find(kernel, token.access_key)
    return key is not None and key.active and (key.expires is None or key.expires > kernel.clocks.now(key.account))


async def enter(exchange: Exchange, token: Token | None, repository: scope.Repository, action: str) -> Visit:
    """Let somebody into a repository. DENIED for another account's, or by its policies; NAME_UNKNOWN if it is not there."""
    kernel = exchange.kernel
    account = repository.account if token is None else token.account
    caller = Caller()
    if token is not None and token.access_key:
        key = keyring.find(kernel, token.access_key)
        caller = Caller(token.access_key, key.arn if key is not None else "")
    exchange.identity = Identity(caller, account, repository.region, "ecr")
    exchange.service = "ecr"
    cx = exchange.context()
    given = {"registryId": repository.account, "repositoryName": repository.name}
    scope.check_registry(cx, given)
    await authorize.authorize_as(exchange, action, given)
    await cx.read(lambda inside: scope.existing(inside, repository.name))
    return Visit(exchange, cx, repository)
