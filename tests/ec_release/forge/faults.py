"""What can go wrong between a publisher and a forge, each as a function on the exchange that it happens to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.ec_release.forge.server import Exchange


@dataclass
class Fault:
    """Befalls requests of *method* whose path matches *path*, after *skip* of them and for *times* of them.

    With *each_once* it befalls every one of them (the first time that it is made) instead.
    """

    method: str
    path: re.Pattern[str]
    action: Callable[[Exchange], None]
    skip: int = 0
    times: int = 1
    each_once: bool = False
    befallen: set[tuple[str, str]] = field(default_factory=set)

    def befalls(self, method: str, target: str) -> bool:
        """Tell whether it befalls this request, and count it."""
        if not re.fullmatch(self.method, method) or not self.path.search(target):
            return False
        if self.each_once:
            new = (method, target) not in self.befallen
            self.befallen.add((method, target))
            return new
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return self.times >= 0


def status(code: int, message: str = "", headers: Mapping[str, str] | None = None) -> Callable[[Exchange], None]:
    """Answer *code* instead, after the whole request was read."""

    def act(exchange: Exchange) -> None:
        exchange.drain()
        exchange.send_json(code, {"message": message, "url": "https://forge.invalid/api"}, headers)

    return act


def early(code: int, message: str = "") -> Callable[[Exchange], None]:
    """Answer *code* while the request is still being sent, and read no more of it."""

    def act(exchange: Exchange) -> None:
        exchange.send_json(code, {"message": message, "url": "https://forge.invalid/api"})
        exchange.hang_up()

    return act


def page(code: int, html: str) -> Callable[[Exchange], None]:
    """Answer with a proxy's page."""

    def act(exchange: Exchange) -> None:
        exchange.drain()
        exchange.send(code, {"Content-Type": "text/html"}, html.encode())

    return act


def cut_request(after: int) -> Callable[[Exchange], None]:
    """Break the connection when *after* bytes of the request's body were read."""

    def act(exchange: Exchange) -> None:
        exchange.rfile.read(min(after, int(exchange.headers.get("content-length", 0))))
        exchange.hang_up()

    return act


def cut_answer(after: int) -> Callable[[Exchange], None]:
    """Act, and break the connection when *after* bytes of the answer's body were sent."""

    def act(exchange: Exchange) -> None:
        exchange.cut_after = after
        exchange.process()

    return act


def lost(exchange: Exchange) -> None:
    """Act, and break the connection before answering."""
    exchange.silent = True
    exchange.process()


def stall(exchange: Exchange) -> None:
    """Do nothing, and keep the connection until the test is over."""
    exchange.forge.over.wait()
    exchange.hang_up()


def twice(exchange: Exchange) -> None:
    """Act, and act again, as a proxy does that repeats a request."""
    exchange.copies = 2
    exchange.process()


def truncated(length: int) -> Callable[[Exchange], None]:
    """Keep only *length* bytes of an upload, and say that all is well."""

    def act(exchange: Exchange) -> None:
        exchange.keep = length
        exchange.process()

    return act


def flipped(exchange: Exchange) -> None:
    """Keep another byte than was sent, of the same length."""
    exchange.flip = True
    exchange.process()


def redirect(url: str) -> Callable[[Exchange], None]:
    """Send the client elsewhere."""

    def act(exchange: Exchange) -> None:
        exchange.drain()
        exchange.send(302, {"Location": url}, b"")

    return act


def served(data: bytes, code: int = 200) -> Callable[[Exchange], None]:
    """Answer as a cache does that holds something else."""

    def act(exchange: Exchange) -> None:
        exchange.send(code, {"Content-Type": "application/octet-stream"}, data)

    return act


def first(work: Callable[[], Any]) -> Callable[[Exchange], None]:
    """Let *work* happen on the server, by somebody else, just before the request is carried out."""

    def act(exchange: Exchange) -> None:
        work()
        exchange.process()

    return act
