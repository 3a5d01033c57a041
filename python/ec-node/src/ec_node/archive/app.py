"""Serving an archive: playlists made from its index, and its objects, each checked before it is sent.

/NAME/vod.m3u8?begin=&end=   /NAME/event.m3u8?begin=   /NAME/timeline.json   /objects/DIGEST.m4s
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ec_node.archive import index, replay
from ec_node.archive.cas import Objects
from ec_node.archive.recorder import index_path
from ec_node.errors import ArchiveError, ConfigError
from ec_node.media.playlist import Kind, render
from ec_node.publish.content import ALLOWED, Content, answer, cross_origin
from ec_node.publish.push import HEAD_TYPE, PLAYLIST_TYPE, SEGMENT_TYPE

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_OBJECT = re.compile(r"([0-9a-f]{64})\.(m4s|mp4)")
_FOREVER = "public, max-age=31536000, immutable"
_CROSS = cross_origin("*")


def application(root: Path) -> Starlette:
    """Return the application that serves the archive at *root*."""
    archived = _Archived(root)
    return Starlette(
        routes=[
            Route("/{path:path}", _preflight, methods=["OPTIONS"]),
            Route("/objects/{object}", archived.stored),
            Route("/{name}/timeline.json", archived.timeline),
            Route("/{name}/{kind}.m3u8", archived.listed),
        ]
    )


class _Archived:
    """Answers from the archive at *root*."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._objects = Objects(root)

    async def listed(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in ("vod", "event"):
            return _not_found()
        try:
            begin, end = (moment(request.query_params.get(key)) for key in ("begin", "end"))
            found = await self._index(request)
        except ConfigError as error:
            return PlainTextResponse(f"{error}\n", 400, _CROSS)
        except ArchiveError:
            return _not_found()
        wanted: Kind = "VOD" if kind == "vod" else "EVENT"
        lines = replay.select(found.lines, begin=begin, end=end)
        made = render(replay.playlist(lines, kind=wanted, objects="../objects/"))
        return Response(made, 200, {**_CROSS, "Cache-Control": "public, max-age=1"}, PLAYLIST_TYPE)

    async def timeline(self, request: Request) -> Response:
        try:
            found = await self._index(request)
        except ArchiveError:
            return _not_found()
        told = summary(request.path_params["name"], found)
        return Response(msgspec.json.encode(told), 200, _CROSS, "application/json")

    async def stored(self, request: Request) -> Response:
        match = _OBJECT.fullmatch(request.path_params["object"])
        if match is None:
            return _not_found()
        try:
            data = await run_in_threadpool(self._objects.get, match[1])
        except ArchiveError:
            return _not_found()
        kind = SEGMENT_TYPE if match[2] == "m4s" else HEAD_TYPE
        content = Content(data, kind, f'"{match[1]}"', _FOREVER)
        return answer(content, request.headers, head=request.method == "HEAD", cross=_CROSS)

    async def _index(self, request: Request) -> index.Index:
        name = request.path_params["name"]
        if not _NAME.fullmatch(name):
            raise ArchiveError("is no name of a broadcast")
        return await run_in_threadpool(index.read, index_path(self._root, name))


async def _preflight(_: Request) -> Response:
    return Response(b"", 204, {**_CROSS, "Allow": ALLOWED})


def summary(name: str, found: index.Index) -> dict[str, object]:
    """Return what an index covers, as it is printed and served."""
    lines = found.lines
    return {
        "broadcast": name,
        "segments": len(lines),
        "bytes": sum(line.size for line in lines),
        "begin": shown(lines[0].time) if lines else None,
        "end": shown(lines[-1].time + lines[-1].duration) if lines else None,
        "damagedLines": found.damaged,
        "gaps": [{"begin": shown(begin), "end": shown(end)} for begin, end in replay.gaps(lines)],
    }


def moment(text: str | None) -> int | None:
    """Return the time that *text* names, in milliseconds; UTC unless it says otherwise. Raises `ConfigError`."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ConfigError("is no time", place="begin, end", hint="2026-11-24T20:15:00Z") from None


def shown(milliseconds: int) -> str:
    """Return a time as it is printed."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _not_found() -> Response:
    return PlainTextResponse("not found\n", 404, _CROSS)
