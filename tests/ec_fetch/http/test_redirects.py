"""Redirects, and the token that does not follow them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from tuf.api.exceptions import (
    DownloadError,
)

from ec_fetch.fetcher import ReleaseFetcher
from ec_fetch.origin import origin_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.server import BaseHTTPRequestHandler

LIMIT = 1 << 20
OURS = "secret"


def redirect(to: str, status: int = 302) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return an answer that sends the client elsewhere."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def scripted(answer: Callable[[httpx2.Request], httpx2.Response], **settings: Any) -> ReleaseFetcher:
    """Return a fetcher whose network is *answer*."""
    return ReleaseFetcher(transport=httpx2.MockTransport(answer), **settings)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server: Any, status: int) -> None:
    """Release servers send downloads to their storage."""
    (server.tree / "asset").write_bytes(b"bytes")
    server.answers["/download"] = redirect("/asset", status)
    assert ReleaseFetcher().download_bytes(server.url("/download"), LIMIT) == b"bytes"


def test_the_token_reaches_its_own_server(server: Any) -> None:
    """A private repository is readable with the token, also after a redirect on the same server."""
    (server.tree / "asset").write_bytes(b"bytes")
    server.answers["/download"] = redirect("/asset")
    ReleaseFetcher(token=OURS, token_origin=server.url("/")).download_bytes(server.url("/download"), LIMIT)
    assert [headers.get("authorization") for _, headers in server.seen] == ["token secret", "token secret"]


def test_a_redirect_to_another_host_drops_the_token(server: Any, other_server: Any) -> None:
    """The storage behind a release server gets the request, and not the token."""
    (other_server.tree / "asset").write_bytes(b"bytes")
    server.answers["/download"] = redirect(other_server.url("/asset"))
    fetcher = ReleaseFetcher(token=OURS, token_origin=server.url("/"))
    assert fetcher.download_bytes(server.url("/download"), LIMIT) == b"bytes"
    assert [headers.get("authorization") for _, headers in other_server.seen] == [None]


def test_the_way_back_does_not_bring_the_token_back(server: Any, other_server: Any) -> None:
    """A detour over another host cannot aim the token at an address of its choice."""
    (server.tree / "asset").write_bytes(b"bytes")
    other_server.answers["/detour"] = redirect(server.url("/asset"))
    server.answers["/download"] = redirect(other_server.url("/detour"))
    ReleaseFetcher(token=OURS, token_origin=server.url("/")).download_bytes(server.url("/download"), LIMIT)
    assert [headers.get("authorization") for _, headers in server.seen] == ["token secret", None]


def test_the_token_is_not_sent_to_another_configured_server(server: Any, other_server: Any) -> None:
    """Targets may lie elsewhere than metadata; the token belongs to the metadata's server."""
    (other_server.tree / "asset").write_bytes(b"bytes")
    ReleaseFetcher(token=OURS, token_origin=server.url("/")).download_bytes(other_server.url("/asset"), LIMIT)
    assert [headers.get("authorization") for _, headers in other_server.seen] == [None]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://host/a", "https://host:443/b", True),
        ("https://HOST/", "https://host/", True),
        ("https://host/", "http://host/", False),
        ("https://host/", "https://host:8443/", False),
        ("https://host/", "https://host.evil/", False),
        ("https://host/", "https://host@evil/", False),
        ("https://host/", "https://sub.host/", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(one: str, other: str, same: bool) -> None:  # noqa: FBT001 - a table
    """Tokens stay with an origin; looks do not count."""
    assert same == (origin_of(one) == origin_of(other))


def test_https_is_not_left_for_http() -> None:
    """A redirect that takes encryption away is refused."""
    fetcher = scripted(lambda _: httpx2.Response(302, headers={"location": "http://host/asset"}))
    with pytest.raises(DownloadError, match="from https to http"):
        fetcher.download_bytes("https://host/download", LIMIT)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://host/", "data:,x", "javascript:0", ""])
def test_redirects_do_not_leave_the_web(location: str) -> None:
    """A server cannot make the client read files."""
    fetcher = scripted(lambda _: httpx2.Response(302, headers={"location": location}))
    with pytest.raises(DownloadError):
        fetcher.download_bytes("https://host/download", LIMIT)


def test_redirects_end() -> None:
    """A circle is left after a few rounds."""
    fetcher = scripted(lambda request: httpx2.Response(302, headers={"location": f"{request.url}x"}))
    with pytest.raises(DownloadError, match="more than 5 redirects"):
        fetcher.download_bytes("https://host/", LIMIT)
