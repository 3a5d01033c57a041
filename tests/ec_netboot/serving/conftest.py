"""A server on loopback, and what asks it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import pytest
import uvicorn

from ec_netboot.serving.app import Service
from ec_netboot.serving.clients import ChainToken
from ec_netboot.serving.server import listen, settings
from ec_netboot.serving.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class Answer:
    """What came back. *headers* by their names in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


class Running:
    """A server in a thread of its own."""

    def __init__(self, config: Any, state: Any, token: str | None = None) -> None:
        self.shelf = Shelf(state, config.platforms)
        self.service = Service(config, self.shelf, ChainToken(token))
        self._server = uvicorn.Server(settings(config, self.service))
        self.socket = listen(config.http.address, config.http.port)
        self.port: int = self.socket.getsockname()[1]
        self._host = "127.0.0.1"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self._loop.run_until_complete(self.shelf.refresh())
        self._loop.run_until_complete(self._server.serve(sockets=[self.socket]))

    def __enter__(self) -> Self:
        """Start it. The socket listens already: whoever asks first waits until it answers."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.stop()

    def stop(self) -> None:
        """End it; once more does no harm."""
        self._server.should_exit = True
        self._thread.join()
        self._loop.close()
        self.socket.close()

    def refresh(self) -> None:
        """Have it look for what was staged."""
        asyncio.run_coroutine_threadsafe(self.shelf.refresh(), self._loop).result(60)

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection."""
        return http.client.HTTPConnection(self._host, self.port, timeout=60)

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Ask for *path*; underscores in the names of *headers* are dashes."""
        with contextlib.closing(self.connect()) as connection:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())

    def boot(self, path: str = "/netboot.ipxe") -> tuple[bytes, bytes]:
        """Do what iPXE does: get the script, then the kernel and the initrd that it names."""
        script = self.ask(path)
        assert script.status == 200, script.text
        words = [line.split() for line in script.text.splitlines() if line.startswith(("kernel", "initrd"))]
        kernel, initrd = (self.ask(line[3]) for line in words)
        assert (kernel.status, initrd.status) == (200, 200)
        return kernel.body, initrd.body


@pytest.fixture
def start(world: Any) -> Iterator[Callable[..., Running]]:
    """Give a function that starts a server of *world*; TOML and a chain token are its arguments."""
    with contextlib.ExitStack() as stack:

        def run(text: str = "", token: str | None = None, platforms: str = '["x86_64"]') -> Running:
            http = '[http]\naddress = "127.0.0.1"\nport = 0\n'
            found = world.config(text if "[http]" in text else http + text, platforms)
            return stack.enter_context(Running(found, world.state, token))

        yield run


@pytest.fixture
def running(world: Any, make_image: Any, start: Callable[..., Running]) -> Running:
    """Give a server of release 1."""
    world.publish(make_image(1))
    world.stage()
    return start()
