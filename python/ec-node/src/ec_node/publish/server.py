"""Where an origin listens: a port, a socket, or both. They are bound before anything else is started."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import uvicorn

from ec_node.errors import ConfigError, OriginError
from ec_node.publish.connection import Patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

    from ec_closure.broadcast import Broadcast
    from ec_node.config import OriginTable

_BACKLOG = 2048
_LEAVE = 5
_SOCKET_MODE = 0o660
_log = structlog.get_logger()


class _Forward(logging.Handler):
    """Hands what uvicorn logs to our logs. What clients do wrong is counted, and no reason to write lines."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            _log.error("http", error=record.getMessage(), exc_info=record.exc_info)


class _Server(uvicorn.Server):
    """Signals are the program's business, not the server's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


class Server:
    """Serves *app* on *sockets*, which it closes."""

    def __init__(self, app: ASGIApp, sockets: list[socket.socket], *, connections: int) -> None:
        self._sockets = sockets
        logger = logging.getLogger("uvicorn.error")
        logger.handlers, logger.propagate = [_Forward()], False
        self._server = _Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=connections,
                timeout_keep_alive=15,
                timeout_graceful_shutdown=_LEAVE,
                backlog=_BACKLOG,
                ws="none",
                loop="asyncio",
                http=Patient,
                proxy_headers=False,
            )
        )

    async def run(self) -> None:
        """Serve until `stop` was called and what was asked is answered."""
        try:
            await self._server.serve(sockets=self._sockets)
        finally:
            for one in self._sockets:
                one.close()

    def stop(self) -> None:
        """Take no further connections."""
        self._server.should_exit = True


def bind(table: OriginTable, broadcast: Broadcast) -> list[socket.socket]:
    """Open what the origin of *broadcast* listens at. Raises `OriginError`, `ConfigError` when there is nothing."""
    found: list[socket.socket] = []
    try:
        if broadcast.hls.port is not None:
            found.append(listen(table.address, broadcast.hls.port))
        if table.sockets:
            found.append(_socket(Path(table.sockets) / f"{broadcast.name}.sock"))
    except BaseException:
        for one in found:
            one.close()
        raise
    if not found:
        raise ConfigError(
            "nobody could watch: the broadcast has no port, and there is no directory for its socket",
            place="hls.port",
            hint="set hls.port in the broadcast, or origin.sockets in ec-node.toml",
        )
    return found


def listen(address: str, port: int) -> socket.socket:
    """Open a port at *address*; `::` also takes IPv4. Raises `OriginError`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        opened.bind((address, port))
        opened.listen(_BACKLOG)
        opened.setblocking(False)  # noqa: FBT003
    except OSError as error:
        opened.close()
        raise OriginError(
            f"cannot listen: {(error.strerror or str(error)).lower()}",
            place=f"{address}:{port}",
            hint="is another program there; is it an address of this machine? Each broadcast needs its own port",
        ) from error
    return opened


def _socket(path: Path) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # One that a killed run left; whoever still listened there is replaced, as systemd starts one at a time.
        path.unlink(missing_ok=True)
        opened.bind(str(path))
        path.chmod(_SOCKET_MODE)
        opened.listen(_BACKLOG)
        opened.setblocking(False)  # noqa: FBT003
    except OSError as error:
        opened.close()
        raise OriginError(
            f"cannot listen: {(error.strerror or str(error)).lower()}",
            place=str(path),
            hint="origin.sockets is a directory that this program may write to",
        ) from error
    return opened


async def serving(server: Server) -> None:
    """Run *server*, and let it answer what was asked when this is cancelled."""
    task = asyncio.ensure_future(server.run())
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        server.stop()
        await task
        raise
