"""The way to the bytes: retries, proxies, TLS, files."""

from __future__ import annotations

import itertools
import os
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import trustme
from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
)

from ec_fetch.fetcher import ReleaseFetcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

LIMIT = 1 << 20


def scripted(answer: Callable[[httpx2.Request], httpx2.Response], **settings: Any) -> ReleaseFetcher:
    """Return a fetcher whose network is *answer*."""
    return ReleaseFetcher(transport=httpx2.MockTransport(answer), **settings)


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


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_out_of_breath_is_asked_again(server: Any, status: int) -> None:
    """Twice busy, then served."""
    server.answers["/x.json"] = failing(status, 2, b"bytes")
    assert ReleaseFetcher().download_bytes(server.url("/x.json"), LIMIT) == b"bytes"
    assert len(server.seen) == 3


@pytest.mark.parametrize("status", [403, 404])
def test_a_timestamp_that_is_being_replaced_is_asked_for_again(server: Any, status: int) -> None:
    """Publishers replace it by deleting and renaming: for a moment it is not there."""
    server.answers["/timestamp.json"] = failing(status, 2, b"bytes")
    assert ReleaseFetcher().download_bytes(server.url("/timestamp.json"), LIMIT) == b"bytes"


@pytest.mark.parametrize(("name", "status"), [("2.root.json", 404), ("2.root.json", 403), ("timestamp.json", 401)])
def test_a_definite_answer_is_not_questioned(server: Any, name: str, status: int) -> None:
    """A root that is not there is the normal end of a search; a missing permission does not come by waiting."""
    server.answers[f"/{name}"] = failing(status, 9, b"")
    with pytest.raises(DownloadHTTPError):
        ReleaseFetcher().download_bytes(server.url(f"/{name}"), LIMIT)
    assert len(server.seen) == 1


def test_a_line_cut_in_the_middle_is_tried_again(server: Any) -> None:
    """What came before the cut is not mixed with what comes after."""
    first = iter([True])

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        handler.wfile.write(b"01234" if next(first, False) else b"0123456789")
        handler.close_connection = True

    server.answers["/x.json"] = answer
    assert ReleaseFetcher().download_bytes(server.url("/x.json"), LIMIT) == b"0123456789"


def test_a_server_that_is_not_there_is_a_lost_line() -> None:
    """Nobody listens: named, after a few attempts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(DownloadError, match=f":{port}/"):
            ReleaseFetcher().download_bytes(f"http://127.0.0.1:{port}/timestamp.json", LIMIT)


def test_encoded_answers_are_refused() -> None:
    """Nothing is decompressed, so that a small answer cannot become a large one."""
    fetcher = scripted(lambda _: httpx2.Response(200, headers={"content-encoding": "gzip"}, content=b"\x1f\x8b"))
    with pytest.raises(DownloadError, match="encoded"):
        fetcher.download_bytes("https://host/x.json", LIMIT)


def test_partial_content_is_not_taken_for_all() -> None:
    """Only 200 is an answer to what we ask."""
    with pytest.raises(DownloadHTTPError):
        scripted(lambda _: httpx2.Response(206, content=b"part")).download_bytes("https://host/x.json", LIMIT)


def test_proxies_of_the_environment_are_not_used(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where traffic goes is said by the configuration alone."""
    (server.tree / "x.json").write_bytes(b"bytes")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert ReleaseFetcher().download_bytes(server.url("/x.json"), LIMIT) == b"bytes"


def test_a_configured_proxy_is_used(server: Any) -> None:
    """The proxy gets the whole address."""
    server.answers["http://release.invalid/x.json"] = failing(0, 0, b"through the proxy")
    fetcher = ReleaseFetcher(proxy=server.url("/"))
    assert fetcher.download_bytes("http://release.invalid/x.json", LIMIT) == b"through the proxy"


def test_tls_is_verified_against_the_given_authority(tmp_path: Path) -> None:
    """A private authority is accepted when it is named, and refused when it is not."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # By number: not every machine knows the name localhost.
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(4):
                raw, _ = listener.accept()
                try:
                    with context.wrap_socket(raw, server_side=True) as connection:
                        connection.recv(4096)
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                except OSError:
                    raw.close()

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/x.json"
        assert ReleaseFetcher(ca_file=tmp_path / "ca.pem").download_bytes(url, LIMIT) == b"ok"
        with pytest.raises(DownloadError, match="certificate"):
            ReleaseFetcher().download_bytes(url, LIMIT)
        thread.join()


def test_files_are_read_without_a_server(tmp_path: Path) -> None:
    """Air-gapped nodes read releases from a disk."""
    (tmp_path / "with space").write_bytes(b"bytes")
    assert ReleaseFetcher().download_bytes((tmp_path / "with space").as_uri(), LIMIT) == b"bytes"


def test_a_fifo_is_no_file(tmp_path: Path) -> None:
    """A FIFO where a file is expected does not hang the client."""
    os.mkfifo(tmp_path / "timestamp.json")
    with pytest.raises(DownloadError, match="regular file"):
        ReleaseFetcher().download_bytes((tmp_path / "timestamp.json").as_uri(), LIMIT)


@pytest.mark.parametrize("url", ["ftp://host/x", "x", "", "data:,x"])
def test_other_addresses_are_refused(url: str) -> None:
    """Files and the web, nothing else."""
    with pytest.raises(DownloadError):
        ReleaseFetcher().download_bytes(url, LIMIT)
