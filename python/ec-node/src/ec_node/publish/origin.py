"""The built-in origin: an ASGI application over what a broadcast holds in memory.

/NAME/index.m3u8   /NAME/master.m3u8   /NAME/i…mp4   /NAME/s…m4s      /healthz   /metrics
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response

from ec_node.media.playlist import render_master
from ec_node.metrics import MEDIA_TYPE
from ec_node.publish.content import ALLOWED, Content, answer, cross_origin
from ec_node.publish.push import HEAD_TYPE, PLAYLIST_TYPE, SEGMENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from ec_node.media.segmenter import Head
    from ec_node.metrics import Metrics
    from ec_node.publish.local import LocalPublisher

_DAY = 86400
_TYPES = {"mp4": HEAD_TYPE, "m4s": SEGMENT_TYPE}


class Origin:
    """Answers for the broadcast *name*. *healthy* says in a word why it is not well, None when it is.

    *segment* in seconds decides how long a playlist may be kept: half of it. A segment never changes.
    """

    def __init__(
        self,
        name: str,
        local: LocalPublisher,
        metrics: Metrics,
        *,
        segment: int,
        allow_origin: str,
        healthy: Callable[[], str | None],
        bandwidth: Callable[[Head], int],
    ) -> None:
        self._prefix = f"/{name}/"
        self._local = local
        self._metrics = metrics
        self._healthy = healthy
        self._bandwidth = bandwidth
        self._short = f"public, max-age={max(1, segment // 2)}"
        self._cross = cross_origin(allow_origin)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        response = self._answer(scope)
        self._metrics.count("requests", status=str(response.status_code))
        if scope["method"] != "HEAD":
            self._metrics.count("sent_bytes", len(response.body))
        await response(scope, receive, send)

    def _answer(self, scope: Scope) -> Response:
        path, method = scope["path"], scope["method"]
        if method not in ("GET", "HEAD", "OPTIONS"):
            return PlainTextResponse("method not allowed\n", 405, {"Allow": ALLOWED})
        if path == "/healthz":
            trouble = self._healthy()
            return PlainTextResponse(f"{trouble or 'ok'}\n", 503 if trouble else 200, {"Cache-Control": "no-store"})
        if path == "/metrics":
            self._healthy()  # the age of the newest segment is told with it
            return Response(self._metrics.render(), 200, {"Cache-Control": "no-store"}, MEDIA_TYPE)
        if not path.startswith(self._prefix):
            return PlainTextResponse("not found\n", 404)
        if method == "OPTIONS":
            return Response(b"", 204, {**self._cross, "Allow": ALLOWED})
        content = self._content(path[len(self._prefix) :])
        if content is None:
            # Soon there may be something: nobody in between should remember that there was nothing.
            return PlainTextResponse("not found\n", 404, {**self._cross, "Cache-Control": "no-store"})
        asked = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        return answer(content, asked, head=method == "HEAD", cross=self._cross)

    def _content(self, name: str) -> Content | None:
        if name == "index.m3u8":
            data = self._local.playlist
            return Content(data, PLAYLIST_TYPE, f'"{hashlib.sha256(data).hexdigest()[:32]}"', self._short)
        if name == "master.m3u8":
            head = self._local.window.head
            if head is None:
                return None
            data = render_master(
                "index.m3u8", bandwidth=self._bandwidth(head), codecs=head.codecs, size=head.size
            ).encode()
            return Content(data, PLAYLIST_TYPE, f'"{hashlib.sha256(data).hexdigest()[:32]}"', self._short)
        media = self._local.window.find(name)
        if media is None:
            return None
        return Content(
            media.data,
            _TYPES[name.rpartition(".")[2]],
            f'"{media.digest[:32]}"',
            f"public, max-age={_DAY}, immutable",
        )
