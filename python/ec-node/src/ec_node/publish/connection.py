"""One connection: uvicorn's own, and an end for those that never finish a request's head, or stop reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

if TYPE_CHECKING:
    import asyncio

HEAD = 10.0
"""Seconds that the head of a request may take."""
STALL = 30.0
"""Seconds after which a client that reads nothing is cut off: fifteen segments, for which it is too slow anyway."""


class Patient(H11Protocol):
    """Ends connections that hold others up.

    uvicorn limits the time between requests, not the time that a request's head takes, nor that of a client that reads
    nothing: as many as may be connected, which send or take a byte a minute, would keep all viewers out.
    """

    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Expect the head of the first request."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Look whether the head is whole."""
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request, whatever uvicorn declares
        if cycle is not None and not cycle.response_complete:
            self._has_read()
        elif self._reading is None and not self.transport.is_closing():
            self._expect()

    def on_response_complete(self) -> None:
        """Leave waiting for the next request to uvicorn."""
        self._has_read()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Expect the client to read."""
        super().pause_writing()
        # Closing would wait for what is not read to be read.
        self._writing = self.loop.call_later(STALL, self.transport.abort)

    def resume_writing(self) -> None:
        """Be content."""
        self._has_written()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._has_read()
        self._has_written()
        super().connection_lost(exc)

    def _expect(self) -> None:
        self._reading = self.loop.call_later(HEAD, self.transport.close)

    def _has_read(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _has_written(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
