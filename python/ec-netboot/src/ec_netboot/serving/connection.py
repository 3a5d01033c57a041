"""One connection: uvicorn's own, and an end for those that never finish a request's head, or stop reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Patient(H11Protocol):
    """Ends connections that hold others up.

    uvicorn limits the time between requests, not the time that a request's head takes, nor that of a client that reads
    nothing: a few hundred that send, or take, one byte a minute would keep all others out.
    """

    head: ClassVar[float]
    stall: ClassVar[float]
    stalled: ClassVar[Callable[[], None]]

    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Expect the head of the first request."""
        super().connection_made(transport)
        self._reading = self.loop.call_later(self.head, self.transport.close)

    def data_received(self, data: bytes) -> None:
        """Look whether the head is whole."""
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request, whatever uvicorn declares
        if cycle is not None and not cycle.response_complete:
            self._has_read()
        elif self._reading is None and not self.transport.is_closing():
            self._reading = self.loop.call_later(self.head, self.transport.close)

    def on_response_complete(self) -> None:
        """Leave waiting for the next request to uvicorn."""
        self._has_read()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Expect the client to read."""
        super().pause_writing()
        self._writing = self.loop.call_later(self.stall, self._give_up)

    def resume_writing(self) -> None:
        """Be content."""
        self._has_written()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._has_read()
        self._has_written()
        super().connection_lost(exc)

    def _has_read(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _has_written(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _give_up(self) -> None:
        type(self).stalled()
        self.transport.abort()  # closing would wait for what is not read to be read


def patient(*, head: float, stall: float, stalled: Callable[[], None]) -> type[Patient]:
    """Return a protocol with its limits, in seconds. *stalled* is called when one that read nothing is ended."""
    limits = {"head": head, "stall": stall, "stalled": staticmethod(stalled)}
    return type("PatientProtocol", (Patient,), limits)
