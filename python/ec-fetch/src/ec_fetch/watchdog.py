"""Ends a connection when its time is up, whatever the code that reads from it waits for.

Time-outs of sockets are measured between two bytes. A server that sends the header of its answer
byte by byte never trips them, and nobody counts until the header is whole.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType


class Watchdog:
    """Shuts down every connection made under it after *seconds*, unless the block ended before."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._bite)
        self._timer.daemon = True
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._bitten = False

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take note of new connections: the HTTP library's `trace` extension calls this."""
        if event.endswith("connect_tcp.complete"):
            raw: socket.socket = info["return_value"].get_extra_info("socket")
            # A descriptor of our own: TLS takes the first one away, but both name the same connection.
            own = socket.socket(fileno=os.dup(raw.fileno()))
            with self._lock:
                self._sockets.append(own)
                if self._bitten:
                    _shut_down(own)

    def _bite(self) -> None:
        with self._lock:
            self._bitten = True
            for own in self._sockets:
                _shut_down(own)

    def __enter__(self) -> Self:
        """Start the time."""
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the time."""
        self._timer.cancel()
        with self._lock:
            for own in self._sockets:
                own.close()
            self._sockets.clear()


def _shut_down(own: socket.socket) -> None:
    # The other side may have closed first.
    with contextlib.suppress(OSError):
        own.shutdown(socket.SHUT_RDWR)
