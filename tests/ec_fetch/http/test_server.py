"""A client and a release server: tokens, refusals, and a server that is busy."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from ec_fetch.errors import FetchError, RefusedError, TokenError
from ec_fetch.token import read_token

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path


RUNNER = "/nix/store/" + "0" * 32 + "-runner"


def http_client(world: Any, server: Any, **settings: Any) -> Any:
    """Return a client that reads over HTTP."""
    base = server.url("/download/")
    return world.client("http", metadata_base=f"{base}trust/", target_base=base, **settings)


def failing(status: int, times: int, body: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return an answer that fails *times*, then serves *body*."""
    left = itertools.count(times, -1)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        failed = next(left) > 0
        handler.send_response(status if failed else 200)
        handler.send_header("Content-Length", "0" if failed else str(len(body)))
        handler.end_headers()
        if not failed:
            handler.wfile.write(body)

    return answer


def test_a_published_tree_works_the_same_over_http(world: Any, server: Any) -> None:
    """Files and a loopback server give the same answers."""
    base = server.url("/download/")
    client = world.client("http-state", metadata_base=f"{base}trust/", target_base=base)
    files = world.client()
    assert files.refresh() == client.refresh()
    assert files.download(files.find(RUNNER)) == client.download(client.find(RUNNER))


def test_the_token_is_read_from_a_file(tmp_path: Path) -> None:
    """White space around it does not matter."""
    (tmp_path / "token").write_text("  secret\n")
    assert read_token(tmp_path / "token") == "secret"


@pytest.mark.parametrize("content", [b"", b"\n", b"a b", b"a\nX-Header: b", b"\xff", b"x" * 5000])
def test_a_file_that_holds_no_token_is_refused(tmp_path: Path, content: bytes) -> None:
    """Above all, a line break does not become a header."""
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(TokenError, match="token"):
        read_token(tmp_path / "token")


def test_a_missing_token_file_is_named(world: Any) -> None:
    """The refresh says which file it wanted."""
    with pytest.raises(TokenError, match="nowhere"):
        world.client(token_file=world.path / "nowhere").refresh()


def test_a_server_that_wants_a_token_gets_it(world: Any, server: Any) -> None:
    """With the token file in the settings, every request carries it."""
    (world.path / "token").write_text("secret")
    http_client(world, server, token_file=world.path / "token").refresh()
    assert {"token secret"} == {headers.get("authorization") for _, headers in server.seen}


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_hides_everything_refuses(world: Any, server: Any, status: int) -> None:
    """As a private repository answers without a token: not there."""
    for name in ("2.root.json", "timestamp.json"):
        server.answers[f"/download/trust/{name}"] = failing(status, 99, b"")
    with pytest.raises(RefusedError, match=str(status)):
        http_client(world, server).refresh()


def test_a_busy_server_is_transport(world: Any, server: Any) -> None:
    """A server that answers 503 for ever did not refuse us."""
    server.answers["/download/trust/timestamp.json"] = failing(503, 99, b"")
    with pytest.raises(FetchError, match="503"):
        http_client(world, server).refresh()
