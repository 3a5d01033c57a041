"""The address of the kernel's command line: servers that are slow, lie, or lead elsewhere."""

from __future__ import annotations

import hashlib
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from ec_provision import fetch as fetching
from ec_provision.command_line import Address
from ec_provision.errors import FetchError, PinError

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = b'schema = "ec-runner.node.v1"\n'
PIN = hashlib.sha256(DATA).hexdigest()
LIMIT = 1000


def fetch(address: Address, *, limit: int, deadline: float = 60.0) -> bytes:
    """Fetch with more time than any of these takes."""
    return fetching.fetch(address, limit=limit, deadline=deadline)


def test_https_is_believed_when_the_system_does(server: Any) -> None:
    """Nothing is asked of the server but the file, undecoded."""
    assert fetch(Address(server.say(DATA)), limit=LIMIT) == DATA
    ((path, headers),) = server.seen
    assert ("/node.toml", "identity") == (path, headers["accept-encoding"])
    assert {"authorization", "cookie"}.isdisjoint(headers)


def test_an_authority_that_the_system_does_not_know_is_not_believed(
    server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Somebody else on the line."""
    (tmp_path / "none.pem").write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))

    with pytest.raises(FetchError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(Address(server.say(DATA)), limit=LIMIT)
    assert [] == server.seen


def test_a_name_that_is_not_the_servers_is_not_believed(server: Any) -> None:
    """The certificate speaks of localhost."""
    url = server.say(DATA).replace("localhost", "127.0.0.1")

    with pytest.raises(FetchError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(Address(url), limit=LIMIT)


def test_what_is_pinned_may_come_in_the_clear(plain_server: Any) -> None:
    """And nothing else may."""
    url = plain_server.say(DATA)

    assert fetch(Address(url, PIN), limit=LIMIT) == DATA
    plain_server.say(DATA.replace(b"v1", b"v2"))
    with pytest.raises(PinError, match="not the one that is pinned"):
        fetch(Address(url, PIN), limit=LIMIT)


def test_a_pin_holds_for_https_too(server: Any) -> None:
    """Whoever took over the server cannot write the file."""
    with pytest.raises(PinError):
        fetch(Address(server.say(b"other"), PIN), limit=LIMIT)


def test_redirects_stay_with_https(server: Any, plain_server: Any) -> None:
    """From https to https they are followed; what leads into the clear, or to files, is not."""
    server.say(DATA, "/new")
    url = server.say(b"", status=302, Location="/new")
    assert fetch(Address(url), limit=LIMIT) == DATA

    for location in (plain_server.say(DATA), "file:///etc/passwd", "ftp://localhost/", ""):
        server.say(b"", status=302, Location=location)
        with pytest.raises(FetchError, match="redirects to something that is not https"):
            fetch(Address(url), limit=LIMIT)
    assert [] == plain_server.seen
    with pytest.raises(FetchError, match="redirects to something that is not https"):
        fetch(Address(plain_server.say(b"", "/old", status=301, Location="/node.toml"), PIN), limit=LIMIT)


def test_redirects_end(server: Any) -> None:
    """A circle is no answer."""
    with pytest.raises(FetchError, match="more than 5 redirects"):
        fetch(Address(server.say(b"", status=307, Location="/node.toml")), limit=LIMIT)


def test_the_environment_has_no_say(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment would see, and answer, everything in the clear."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")

    assert fetch(Address(server.say(DATA)), limit=LIMIT) == DATA


def test_what_is_too_long_is_not_kept(server: Any) -> None:
    """Exactly as much as is accepted is."""
    assert fetch(Address(server.say(b"#" * LIMIT)), limit=LIMIT) == b"#" * LIMIT
    with pytest.raises(FetchError, match="more than the 1000 bytes"):
        fetch(Address(server.say(b"#" * (LIMIT + 1))), limit=LIMIT)


def test_what_is_encoded_is_refused(server: Any) -> None:
    """Nothing is unpacked that nobody asked for."""
    with pytest.raises(FetchError, match="encoded"):
        fetch(Address(server.say(b"x", Content_Encoding="gzip")), limit=LIMIT)


@pytest.mark.parametrize("status", [401, 403, 404, 410, 501])
def test_an_answer_that_is_final_is_final(server: Any, status: int) -> None:
    """The server was asked once."""
    with pytest.raises(FetchError, match=f"answered {status}"):
        fetch(Address(server.say(b"", status=status)), limit=LIMIT)
    assert 1 == len(server.seen)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_asked_again(server: Any, status: int) -> None:
    """A boot server that boots, too."""
    url = server.say(b"", status=status)
    refuse = server.answers["/node.toml"]
    server.say(DATA)
    in_turn = iter([refuse, refuse, server.answers["/node.toml"]])

    def answer(handler: Any) -> None:
        next(in_turn)(handler)

    server.answers["/node.toml"] = answer

    assert fetch(Address(url), limit=LIMIT) == DATA
    assert 3 == len(server.seen)


def test_nobody_there_is_an_error_of_the_way(unused: int) -> None:
    """After as many tries as there is time for."""
    with pytest.raises(FetchError) as caught:
        fetch(Address(f"https://localhost:{unused}/node.toml?secret"), limit=LIMIT)
    assert f"https://localhost:{unused}/node.toml" == caught.value.place
    assert "secret" not in f"{caught.value}"


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na"])
def test_a_server_that_never_ends_its_answer_is_left(silent: Callable[[bytes], int], sent: bytes) -> None:
    """Before it says anything, in the middle of its header, and in the middle of the file."""
    with pytest.raises(FetchError, match=r"not fetched within 0\.2 seconds"):
        fetch(Address(f"http://127.0.0.1:{silent(sent)}/", PIN), limit=LIMIT, deadline=0.2)


def test_alarms_of_others_are_as_before(server: Any) -> None:
    """Whether it went well or not."""
    before = signal.getsignal(signal.SIGALRM)
    fetch(Address(server.say(DATA)), limit=LIMIT)
    with pytest.raises(FetchError):
        fetch(Address(server.url("/none")), limit=LIMIT)

    assert (before, (0.0, 0.0)) == (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL))


@pytest.fixture
def unused() -> int:
    """Give a port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def silent() -> Any:
    """Give a function that starts a server, which sends some bytes and then waits for its client to leave."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(sent: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(sent)
                while connection.recv(4096):
                    pass

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield start
    for thread in threads:
        thread.join()
    for listener in listeners:
        listener.close()
