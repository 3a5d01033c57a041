"""The running server: one process for HTTP, another that keeps dnsmasq, and an end when either fails."""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401 - imported at first use otherwise, when we may be somebody who cannot
import contextlib
import ipaddress
import logging
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

import structlog
import uvicorn

from ec_closure.errors import EcError
from ec_netboot.boot import keeper
from ec_netboot.boot.root import prepare
from ec_netboot.errors import ServeError
from ec_netboot.notify import notify
from ec_netboot.privileges import drop
from ec_netboot.serving.app import Service
from ec_netboot.serving.connection import patient
from ec_netboot.serving.shelf import Shelf
from ec_netboot.serving.token import read_chain_token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_netboot.config import Config
    from ec_netboot.serving.clients import ChainToken
    from ec_netboot.state import State

_LOOK_EVERY = 1.0
_BACKLOG = 1024
_KEEP_ALIVE = 15
_GRACE = 10
_log = structlog.get_logger()


class _Forward(logging.Handler):
    """Hands what uvicorn logs to our logs. What clients do wrong is counted, and no reason to write lines."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            _log.error("http", error=record.getMessage(), exc_info=record.exc_info)


def listen(address: str, port: int) -> socket.socket:
    """Return a listening socket; an IPv6 one also takes IPv4. Raises `ServeError`."""
    six = ipaddress.ip_address(address).version == 6  # noqa: PLR2004 - the name of the protocol
    bound = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if six:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind((address, port))
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise ServeError(
            error.strerror or str(error),
            place=f"http: {address} port {port}",
            hint="is another server there; may this user have a port below 1024; does this machine have the address?",
        ) from error
    return bound


async def serve(config: Config, state: State, *, http: bool = True, boot: bool = True) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reads the chain token again. *http* and *boot* say which parts.

    Raises `ServeError` when an address cannot be had, or dnsmasq cannot be kept running; `ConfigError`; `StateError`.
    """
    token = read_chain_token(config.http.token_file)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    with contextlib.ExitStack() as stack:
        bound = stack.enter_context(listen(config.http.address, config.http.port)) if http else None
        keeping = await _keep(config, token, stack) if boot and config.tftp.enabled else None
        if bound is None and keeping is None:
            raise ServeError("there is nothing to serve", hint="enable tftp in netboot.toml")
        # Sockets are bound and dnsmasq has its rights: what faces strangers needs none any more.
        drop(config.user)
        tasks: list[asyncio.Task[object]] = []
        if bound is not None:
            tasks.append(asyncio.create_task(_http(config, state, token, bound, ended)))
        else:
            notify("READY=1")
        watching = None if keeping is None else asyncio.create_task(keeping.wait())
        for task in (*tasks, *([watching] if watching else [])):
            task.add_done_callback(lambda _: ended.set())
        await ended.wait()
        notify("STOPPING=1")
        failed = watching is not None and watching.done()
        await asyncio.gather(*tasks)
    if watching is not None:
        await watching  # the pipe has ended: so does dnsmasq
    if failed:
        raise ServeError("dnsmasq cannot be kept running", hint="the lines above say why")


class _Server(uvicorn.Server):
    """uvicorn without its own answers to signals, which end by raising them once more."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _http(config: Config, state: State, token: ChainToken, bound: socket.socket, ended: asyncio.Event) -> None:
    shelf = Shelf(state, config.platforms)
    service = Service(config, shelf, token)
    await shelf.refresh()

    def reload() -> None:
        try:
            service.token = read_chain_token(config.http.token_file)
        except EcError as error:
            _log.error("the old chain token stays", error=str(error))

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
    server = _Server(settings(config, service))
    looking = asyncio.create_task(_look(shelf))
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    host, port = bound.getsockname()[:2]
    _log.info("listening", address=host, port=port)
    notify("READY=1")
    asked = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait([serving, asked], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        looking.cancel()
        asked.cancel()


def settings(config: Config, service: Service) -> uvicorn.Config:
    """Return how uvicorn runs *service*."""
    logger = logging.getLogger("uvicorn.error")
    logger.handlers, logger.propagate = [_Forward()], False

    def stalled() -> None:
        service.metrics.stalled += 1

    return uvicorn.Config(
        service.app(),
        http=patient(head=config.http.header, stall=config.http.stall, stalled=stalled),
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=config.http.connections,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_GRACE,
    )


async def _look(shelf: Shelf) -> None:
    while True:
        await asyncio.sleep(_LOOK_EVERY)
        await shelf.refresh()


async def _keep(config: Config, token: ChainToken, stack: contextlib.ExitStack) -> asyncio.subprocess.Process:
    file = prepare(config, token=token.text)
    command = [config.tftp.program, f"--conf-file={file}", "--keep-in-foreground"]
    # Held open until the end: that the pipe ends is how the keeper learns that we did, however that came about.
    lifeline = stack.enter_context(_pipe())
    return await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-B", keeper.__file__, *command, stdin=lifeline
    )


@contextlib.contextmanager
def _pipe() -> Iterator[int]:
    read, write = os.pipe()
    try:
        yield read
    finally:
        os.close(write)
        os.close(read)
