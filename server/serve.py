"""Run one server: kernel, gateway, uvicorn. `Ready.` in the log means that it answers."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from backends import load_components
from backends.core import other_services
from backends.core.calls import AUTHORIZER
from backends.core.kernel import Kernel
from backends.core.listening import ADDRESSES, LISTEN_ALSO, PORT
from backends.jobs import credentials
from server import environment, init_hooks, other_accounts
from server.authentication import keyring
from server.authorize import authorize_call
from server.control import url_of
from server.gateway import Gateway
from server.listener import proxy_key
from server.listener.authority import Authority, certificate_file
from server.listener.authority import ensure as ensure_authority
from server.listener.sniff import SniffingProtocol

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from backends.core.settings import Settings

log = logging.getLogger("localmaker")
DRAIN_S = 3


def make_gateway(kernel: Kernel) -> Gateway:
    """Put the gateway in front of the admin application, which is imported when it is first asked."""

    def make_app() -> Any:
        from server.app import make_app as make

        return make(kernel)

    keyring.load(kernel)
    AUTHORIZER.set(kernel, authorize_call)
    other_services.LEADS_AWAY.set(kernel, other_accounts.leads_away)
    credentials.FILES.set(kernel, partial(environment.for_jobs, kernel.settings.data_dir))
    return Gateway(kernel, make_app)


def make_protocol(authority: Authority, settings: Settings) -> Any:
    """Return what uvicorn makes of every connection: a protocol that looks at its first bytes, with HTTP behind it."""

    def make(config: uvicorn.Config, server_state: Any, app_state: Any, _loop: Any = None) -> SniffingProtocol:
        def make_http() -> HttpToolsProtocol:
            return HttpToolsProtocol(config=config, server_state=server_state, app_state=app_state, _loop=_loop)

        return SniffingProtocol(make_http, authority, server_state.connections, settings)

    return make


class Server(uvicorn.Server):
    """uvicorn, listening on more addresses as they are wanted: jobs in Docker reach the server at their gateway."""

    def __init__(self, config: uvicorn.Config, kernel: Kernel) -> None:
        super().__init__(config)
        self._kernel = kernel
        self._listening = asyncio.Lock()
        LISTEN_ALSO.set(kernel, self.listen_also)
        init_hooks.HOOKS.set(kernel, init_hooks.find_hooks(kernel.settings))
        self._init: asyncio.Task[None] | None = None
        self.init_failed = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, write down where, and say so."""
        await super().startup(sockets)
        if not self.started:
            return
        port = self.servers[0].sockets[0].getsockname()[1]
        PORT.set(self._kernel, port)
        url = url_of(self.config.host, port)
        ADDRESSES.of(self._kernel).insert(0, url)
        write_state(self._kernel, url)
        await self._kernel.listening()
        gc.freeze()  # models and code stay: do not walk them at every collection
        log.info("Listening on %s", ADDRESSES.of(self._kernel)[0])
        log.info("Ready.")
        self._init = asyncio.create_task(self._run_init_scripts())

    async def _run_init_scripts(self) -> None:
        await init_hooks.run(self._kernel, ADDRESSES.of(self._kernel)[0])
        failed = init_hooks.of(self._kernel).failed
        if failed and self._kernel.settings.init_strict:
            log.error("The server ends: init scripts failed (LOCALMAKER_INIT_STRICT): %s", ", ".join(failed))
            self.init_failed = self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the init script that runs, if one does, and then what uvicorn ends."""
        if self._init is not None:
            self._init.cancel()
            await asyncio.wait({self._init})
        await super().shutdown(sockets)

    async def listen_also(self, host: str) -> str:
        """Listen on another address of this machine too, same port; give its URL."""
        async with self._listening:  # two first Docker jobs at once
            return await self._listen_on(host)

    async def _listen_on(self, host: str) -> str:
        url = url_of(host, PORT.of(self._kernel))
        bound = {place.getsockname()[0] for server in self.servers for place in server.sockets}
        if host in bound or ("::" if ":" in host else "0.0.0.0") in bound:  # noqa: S104 - compared
            return url
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.Protocol:
            kind: Any = self.config.http_protocol_class
            made: asyncio.Protocol = kind(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return made

        self.servers.append(await loop.create_server(protocol, host, PORT.of(self._kernel)))
        ADDRESSES.of(self._kernel).append(url)
        log.info("Listening on %s for jobs", url)
        return url


def state_file(data_dir: Path) -> Path:
    """Where a running server says what it is, for the command line."""
    return data_dir / "server.json"


def write_state(kernel: Kernel, url: str) -> None:
    """Write down the running server's URL and process, and what the command line needs when keys are verified."""
    state = {"url": url, "pid": os.getpid()}
    if kernel.settings.auth == "enforce":
        state |= {"admin_token": keyring.ADMIN_TOKEN.of(kernel), "keys_file": str(keyring.path_of(kernel.settings))}
    path = state_file(kernel.settings.data_dir)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(state))


def forget_own_proxy(settings: Settings) -> None:
    """Take away a proxy that is this server: it was started in a shell that `localmaker env` had led here.

    Jobs, and pip where it makes their environments, take the server's proxies for the way to package indexes.
    """
    for name in ("HTTPS_PROXY", "https_proxy"):
        if proxy_key.without(os.environ.get(name, "")) == url_of(settings.host, settings.port):
            del os.environ[name]


def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Jobs and endpoints run on; the next start adopts them."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # six lines at the first start
    forget_own_proxy(settings)
    kernel = Kernel(settings, load_components())
    kernel.open()
    if certificate_file(settings.data_dir).exists():  # an older version's is renewed now, before any shell trusts it
        ensure_authority(settings.data_dir)
    config = uvicorn.Config(
        make_gateway(kernel),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=make_protocol(Authority(settings.data_dir), settings),
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        # Else any client on this machine says for itself where it comes from (aws:SourceIp, aws:SecureTransport).
        proxy_headers="FORWARDED_ALLOW_IPS" in os.environ,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=DRAIN_S,
        backlog=2048,
    )
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    # uvicorn raises the signal again once it is done; by the default action nothing below would run.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = Server(config, kernel)
    try:
        with suppress(KeyboardInterrupt):
            server.run()
    finally:
        state_file(settings.data_dir).unlink(missing_ok=True)
    if server.init_failed:
        sys.exit(1)
