"""The web application: scripts, kernels and initrds of the releases on the shelf. Nothing else has an address.

`/netboot.ipxe` and `/<platform>/netboot.ipxe` are asked for with the chain token, where there is one. What they name
is below `/releases/<digest>/`: a machine gets one release whole, or the end of its download, never parts of two.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ec_netboot.errors import ImageError
from ec_netboot.release import PLATFORMS
from ec_netboot.script import dispatch, render
from ec_netboot.serving.clients import AllowList, ChainToken
from ec_netboot.serving.download import Downloads
from ec_netboot.serving.metrics import CONTENT_TYPE, Metrics
from ec_netboot.staged import SERVED

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ec_netboot.config import Config
    from ec_netboot.release import Platform
    from ec_netboot.serving.shelf import Shelf

_SCRIPT = "text/plain; charset=utf-8"
_NO_STORE = {"cache-control": "no-store"}
_ROUTES = {"/netboot.ipxe": "script", "/healthz": "health", "/metrics": "metrics"}
_log = structlog.get_logger()


class Service:
    """What the addresses answer. *token* can be replaced while it runs."""

    def __init__(self, config: Config, shelf: Shelf, token: ChainToken) -> None:
        self.token = token
        self.metrics = Metrics()
        self._config = config
        self._shelf = shelf
        self._downloads = Downloads(self.metrics, limit=config.http.downloads)

    def app(self) -> ASGIApp:
        """Return the application, with its gate in front."""
        routes = [
            Route("/netboot.ipxe", self._any_script),
            Route("/{platform}/netboot.ipxe", self._script),
            Route("/releases/{archive}/{name}", self._file),
            Route("/healthz", self._health),
            Route("/metrics", self._metrics),
        ]
        app = Starlette(routes=routes)
        app.router.redirect_slashes = False
        return Gate(app, AllowList(self._config.http.allowed), self.metrics)

    async def _any_script(self, request: Request) -> Response:
        platforms = self._config.platforms
        if len(platforms) == 1:
            return self._answer(request, platforms[0])
        if not self._admitted(request):
            return _forbidden()
        query = f"?token={self.token.text}" if self.token.text is not None else ""
        addresses: dict[str, str] = {one: f"{self._config.base}{one}/netboot.ipxe{query}" for one in platforms}
        return Response(dispatch(addresses), media_type=_SCRIPT, headers=_NO_STORE)

    async def _script(self, request: Request) -> Response:
        for platform in PLATFORMS:
            if platform == request.path_params["platform"] and platform in self._config.platforms:
                return self._answer(request, platform)
        return _not_found()

    def _answer(self, request: Request, platform: Platform) -> Response:
        if not self._admitted(request):
            return _forbidden()
        found = self._shelf.current(platform)
        if found is None:
            return PlainTextResponse(f"nothing is served for {platform}\n", 503, _NO_STORE)
        text = render(found.release, base=self._config.base, extra=self._config.script.kernel_parameters)
        return Response(text, media_type=_SCRIPT, headers=_NO_STORE)

    async def _file(self, request: Request) -> Response:
        found = self._shelf.find(request.path_params["archive"])
        for name in SERVED:
            if found is not None and name == request.path_params["name"]:
                reason = self._shelf.exclusion(found)
                if reason:
                    return PlainTextResponse(f"release {found.release.version} {reason}\n", 410, _NO_STORE)
                return self._downloads.answer(request, found, name)
        return _not_found()

    async def _health(self, request: Request) -> Response:  # noqa: ARG002 - the framework's
        serving = {one: self._shelf.current(one) is not None for one in self._config.platforms}
        healthy = all(serving.values())
        return JSONResponse(
            {"healthy": healthy, "serving": serving, "problem": self._shelf.problem}, 200 if healthy else 503, _NO_STORE
        )

    async def _metrics(self, request: Request) -> Response:  # noqa: ARG002 - the framework's
        text = self.metrics.render(self._shelf, self._config.platforms)
        return Response(text, headers={**_NO_STORE, "content-type": CONTENT_TYPE})

    def _admitted(self, request: Request) -> bool:
        given = request.query_params.getlist("token")
        return self.token.admits(given[0] if len(given) == 1 else None)


class Gate:
    """In front of everything: who is not on the list gets 403. Requests are counted, and logged without their query."""

    def __init__(self, app: ASGIApp, allowed: AllowList, metrics: Metrics) -> None:
        self._app = app
        self._allowed = allowed
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        peer = scope.get("client")
        host = peer[0] if peer else None
        status = 0
        begun = time.monotonic()

        async def counting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-content-type-options", b"nosniff"))
            await send(message)

        app: ASGIApp = self._app if self._allowed.admits(host) else _forbidden()
        try:
            await app(scope, receive, counting)
        except ImageError as error:
            # The answer has begun: what is left is to cut the connection, which returning early does.
            _log.error("cut", error=str(error))
        finally:
            self._metrics.requests[_route(scope["path"]), status] += 1
            _log.info(
                "request",
                client=host,
                method=scope["method"],
                path=scope["path"],
                status=status,
                seconds=round(time.monotonic() - begun, 3),
            )


def _route(path: str) -> str:
    """Return what an address stands for: strangers must not make as many series as they like."""
    if path.endswith("/netboot.ipxe"):
        return "script"
    for name in SERVED:
        if path.startswith("/releases/") and path.endswith(f"/{name}"):
            return name
    return _ROUTES.get(path, "other")


def _forbidden() -> Response:
    return PlainTextResponse("forbidden\n", 403, _NO_STORE)


def _not_found() -> Response:
    return PlainTextResponse("not found\n", 404, _NO_STORE)
