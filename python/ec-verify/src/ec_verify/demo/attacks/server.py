"""Attacks by how the release server serves: without end, without haste, or somewhere else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ec_verify.demo.attacks.attack import Attack, says
from ec_verify.demo.server import Server

if TYPE_CHECKING:
    from http.server import SimpleHTTPRequestHandler

    from ec_verify.demo.node import Node, Result

_BASE = "/releases/download/trust/"
_TIMESTAMP = f"{_BASE}timestamp.json"
_SECONDS = 2
_PIECE = 64
_TOKEN = "a-token-for-the-release-server-alone"  # noqa: S105 - nobody's


def _start(handler: SimpleHTTPRequestHandler, length: int | None = None) -> None:
    handler.send_response_only(200)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    handler.end_headers()


def serve_without_end(node: Node) -> None:
    """Serve a timestamp that never ends."""
    server = node.lab.serve_copy(node)

    def answer(handler: SimpleHTTPRequestHandler) -> None:
        _start(handler)
        while True:
            handler.wfile.write(b" " * 65536)

    server.answers[_TIMESTAMP] = answer


def drip(node: Node) -> None:
    """Serve a timestamp byte by byte, with so much time between them that nobody lives to see the last."""
    server = node.lab.serve_copy(node)
    node.configure(server.url, trust={"deadline": _SECONDS})
    ended = threading.Event()
    node.cleanup.callback(ended.set)

    def answer(handler: SimpleHTTPRequestHandler) -> None:
        _start(handler, 1000)
        while not ended.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    server.answers[_TIMESTAMP] = answer


def serve_in_pieces(node: Node) -> None:
    """Serve the timestamp in small pieces, as a bad line does: slow, and fast enough."""
    server = node.lab.serve_copy(node)
    data = (server.directory / _TIMESTAMP.lstrip("/")).read_bytes()

    def answer(handler: SimpleHTTPRequestHandler) -> None:
        _start(handler, len(data))
        for start in range(0, len(data), _PIECE):
            handler.wfile.write(data[start : start + _PIECE])
            handler.wfile.flush()

    server.answers[_TIMESTAMP] = answer


def redirect(node: Node) -> None:
    """Redirect a node that brings a token to another host, which serves the right bytes and keeps what it is told."""
    server = node.lab.serve_copy(node)
    other = node.cleanup.enter_context(Server(server.directory))
    token = node.directory / "token"
    token.write_text(f"{_TOKEN}\n")
    token.chmod(0o600)
    node.configure(server.url, trust={"token_file": str(token)})
    node.memory |= {"server": server, "other": other}

    def answer(handler: SimpleHTTPRequestHandler) -> None:
        handler.send_response_only(302)
        handler.send_header("Location", f"{other.url}{_TIMESTAMP}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.answers[_TIMESTAMP] = answer


def token_stayed(node: Node, _result: Result) -> str | None:
    """Ask that the right server got the token, and the other one only a question."""
    server, other = node.memory["server"], node.memory["other"]
    if not isinstance(server, Server) or not isinstance(other, Server):
        return "there were no servers"
    if not server.tokens or not other.asked:
        return "nobody was asked"
    return f"the other host was told {other.tokens[0]}" if other.tokens else None


ATTACKS = (
    Attack(
        "endless-metadata",
        "Metadata without end",
        "serves a timestamp that never ends",
        serve_without_end,
        frozenset({"EV101"}),
        on_store=False,
    ),
    Attack(
        "slow-metadata",
        "Metadata without haste",
        "serves a timestamp byte by byte, to keep the node waiting for ever",
        drip,
        frozenset({"EV104"}),
        verdict="undecided",
        on_store=False,
        holds=says("EV104", f"{_SECONDS} seconds"),
    ),
    Attack(
        "bad-line",
        "A bad line",
        "did nothing: the line is bad, and everything comes in small pieces",
        serve_in_pieces,
        frozenset(),
        verdict="passed",
        on_store=False,
    ),
    Attack(
        "redirected-token",
        "Redirect to another host",
        "redirects the node to a host of their own, to be told its token",
        redirect,
        frozenset(),
        verdict="passed",
        on_store=False,
        holds=token_stayed,
    ),
)
