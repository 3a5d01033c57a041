"""Playlists of what was archived: of a span of time, finished (VOD) or still growing (EVENT). Pure."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ec_node.media.playlist import Entry, Kind, MediaPlaylist

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ec_node.archive.index import Line


def select(lines: Iterable[Line], *, begin: int | None = None, end: int | None = None) -> tuple[Line, ...]:
    """Return the lines that have something between *begin* and *end*, milliseconds since 1970."""
    return tuple(
        line
        for line in lines
        if (begin is None or line.time + line.duration > begin) and (end is None or line.time < end)
    )


def playlist(lines: Sequence[Line], *, kind: Kind, objects: str) -> MediaPlaylist:
    """Return the playlist of *lines*; *objects* stands before the addresses of objects.

    Media segments are numbered from 0: the same span has the same numbers, and an EVENT only grows at its end.
    """
    entries = tuple(
        Entry(
            object_uri(objects, line.segment, "m4s"),
            line.duration,
            object_uri(objects, line.head, "mp4"),
            discontinuity=at > 0 and (line.broken or line.head != lines[at - 1].head),
            time=line.time / 1000,
        )
        for at, line in enumerate(lines)
    )
    target = max([1, *((line.duration + 500) // 1000 for line in lines)])
    return MediaPlaylist(target, 0, 0, entries, kind == "VOD", kind)


def object_uri(objects: str, digest: str, ending: str) -> str:
    """Return the address of an object."""
    return f"{objects}{digest}.{ending}"


def gaps(lines: Sequence[Line], tolerance: int = 1000) -> list[tuple[int, int]]:
    """Return the spans that nothing covers, longer than *tolerance* milliseconds, as begin and end."""
    found = []
    for before, after in pairwise(lines):
        end = before.time + before.duration
        if after.time - end > tolerance:
            found.append((end, after.time))
    return found
