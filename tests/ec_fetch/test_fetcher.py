"""The way to the bytes: redirects, tokens, limits, retries, on a loopback server and on scripted answers."""

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
    DownloadLengthMismatchError,
    SlowRetrievalError,
)

from ec_fetch.errors import FetchError, MetadataError, RefusedError, SlowError, TokenError
from ec_fetch.fetcher import ReleaseFetcher
from ec_fetch.origin import origin_of
from ec_fetch.token import read_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

LIMIT = 1 << 20
OURS = "secret"


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def scripted(answer: Callable[[httpx2.Request], httpx2.Response], **settings: Any) -> ReleaseFetcher:
    """Return a fetcher whose network is *answer*."""
    return ReleaseFetcher(transport=httpx2.MockTransport(answer), **settings)


def redirect(to: str, status: int = 302) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return an answer that sends the client elsewhere."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


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


def endless(clock: Clock | None = None, seconds: float = 0.0, size: int = 1 << 16) -> Iterator[bytes]:
    """Yield bytes for ever, and let *seconds* pass before each piece."""
    while True:
        if clock:
            clock.now += seconds
        yield b"x" * size


def test_endless_data_end_at_the_cap() -> None:
    """A server that never stops is left at the first byte too many."""
    sent = []

    def body() -> Iterator[bytes]:
        for piece in endless():
            sent.append(len(piece))
            yield piece

    with pytest.raises(DownloadLengthMismatchError):
        scripted(lambda _: httpx2.Response(200, content=body())).download_bytes("https://host/timestamp.json", LIMIT)
    assert sum(sent) <= LIMIT + (1 << 16)


def test_slow_data_end_at_the_minimum_speed() -> None:
    """A byte every two seconds, for ever: left after one window."""
    clock = Clock()
    fetcher = scripted(lambda _: httpx2.Response(200, content=endless(clock, 2, 1)), clock=clock, deadline=9999)
    with pytest.raises(SlowRetrievalError, match="bytes per second"):
        fetcher.download_bytes("https://host/x.json", LIMIT)
    assert clock.now <= 1000 + 20


def test_fast_enough_data_end_at_the_deadline() -> None:
    """Just above the minimum speed, but never done: left at the deadline."""
    clock = Clock()
    fetcher = scripted(lambda _: httpx2.Response(200, content=endless(clock, 1, 2000)), clock=clock, deadline=60)
    with pytest.raises(SlowRetrievalError, match="60 seconds"):
        fetcher.download_bytes("https://host/x.json", LIMIT)


def test_a_slow_line_gets_the_time_that_the_minimum_speed_grants() -> None:
    """A large signed target on a slow line is no attack: its length is signed, so it may take its time."""
    clock = Clock()

    def body() -> Iterator[bytes]:
        for _ in range(300):
            clock.now += 1
            yield b"x" * 2000

    fetcher = scripted(lambda _: httpx2.Response(200, content=body()), clock=clock, deadline=60)
    with fetcher.download_file("https://host/disk.img", 600_000) as file:
        assert len(file.read()) == 600_000


def test_a_header_that_never_ends_is_cut_at_the_deadline() -> None:
    """One header byte now and then trips no socket's time-out; the watchdog bites."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        enough, waited = threading.Event(), threading.Event()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                    # Far beyond the deadline, but not for ever: who waits fails this test and does not hang it.
                    for _ in range(400):
                        if enough.wait(0.01):
                            break
                        connection.sendall(b"x")
                    else:
                        waited.set()
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(SlowRetrievalError):
                ReleaseFetcher(deadline=0.2).download_bytes(
                    f"http://127.0.0.1:{listener.getsockname()[1]}/x.json", LIMIT
                )
        finally:
            enough.set()
            thread.join()
    assert not waited.is_set()


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
    authority.issue_cert("localhost").configure_cert(context)
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
        url = f"https://localhost:{listener.getsockname()[1]}/x.json"
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


def http_client(world: Any, server: Any, **settings: Any) -> Any:
    """Return a client that reads over HTTP."""
    base = server.url("/download/")
    return world.client("http", metadata_base=f"{base}trust/", target_base=base, **settings)


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


def test_endless_metadata_are_a_finding_about_metadata(world: Any, server: Any) -> None:
    """An attacker who answers for ever is named as what he is."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            return

    server.answers["/download/trust/timestamp.json"] = answer
    with pytest.raises(MetadataError):
        http_client(world, server).refresh()


def test_slow_metadata_are_a_finding_about_the_line(world: Any) -> None:
    """Slow retrieval ends in an error of transport that says so."""
    clock = Clock()
    base = "https://host/download/"
    fetcher = scripted(lambda _: httpx2.Response(200, content=endless(clock, 2, 1)), clock=clock)
    with pytest.raises(SlowError):
        world.client(metadata_base=f"{base}trust/", target_base=base, fetcher=fetcher).refresh()


def test_a_busy_server_is_transport(world: Any, server: Any) -> None:
    """A server that answers 503 for ever did not refuse us."""
    server.answers["/download/trust/timestamp.json"] = failing(503, 99, b"")
    with pytest.raises(FetchError, match="503"):
        http_client(world, server).refresh()
