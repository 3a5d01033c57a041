"""Server-sent events (HTML standard §9.2): what changed, gathered for half a second, so that busy fleets stay cheap.

A browser that reconnects says by `Last-Event-ID` what it has seen. The stream ends after some minutes: whoever asks
again is looked at again, so that a session that ended watches nothing for long.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from runner_dashboard.events.bus import Bus, Subscription
    from runner_dashboard.events.event import Event

MOST_STREAMS: Final = 500
"""Streams at one time: each is a connection, and nodes need some."""
_NODES: Final = 50
_RETRY: Final = 3000


class Pace(msgspec.Struct, frozen=True):
    """Seconds: how long events are *gathered*, when something is sent where nothing happens, when the stream ends."""

    gathered: float = 0.5
    quiet: float = 15.0
    lasting: float = 300.0


class Change(msgspec.Struct, frozen=True):
    """What is sent: the *kinds* of events that were gathered, and the *nodes* that they are about (up to fifty)."""

    kinds: list[str]
    nodes: list[str]


async def stream(bus: Bus, last: int | None, pace: Pace) -> AsyncIterator[bytes]:
    """Yield the bytes of a stream of the events after the one numbered *last*, or from now on."""
    loop = asyncio.get_running_loop()
    end = loop.time() + pace.lasting
    with bus.subscribe(last) as events:
        # The number from which this browser can ask again, also when nothing has happened yet.
        yield f"retry: {_RETRY}\nid: {bus.newest if last is None else last}\nevent: hello\ndata: {{}}\n\n".encode()
        while (left := end - loop.time()) > 0:
            try:
                first = await asyncio.wait_for(anext(events), min(pace.quiet, left))
            except TimeoutError:
                yield b": nothing happened\n\n"
                continue
            except StopAsyncIteration:
                return
            yield message([first, *await _gathered(events, pace.gathered)])


async def _gathered(events: Subscription, seconds: float) -> list[Event]:
    found: list[Event] = []
    try:
        async with asyncio.timeout(seconds):
            async for event in events:
                found.append(event)  # noqa: PERF401 - what was gathered is kept when the time is over
    except TimeoutError:
        pass
    return found


def message(events: Iterable[Event]) -> bytes:
    """Return one message that tells of *events*, of which there is at least one."""
    told = list(events)
    nodes = dict.fromkeys(event.node for event in told if event.node)
    change = Change(list(dict.fromkeys(event.kind for event in told)), list(nodes)[:_NODES])
    return b"id: %d\nevent: change\ndata: %s\n\n" % (told[-1].id, msgspec.json.encode(change))
