"""The server as machines see it, over a real socket: one release whole, and nothing besides."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from ec_netboot.staging.rollback import rollback

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "correct-horse-battery-1"  # noqa: S105 - of this test alone
LARGE = 24 << 20


def address(world: Any, name: str = "kernel") -> str:
    """Return where a file of the served release is."""
    return f"/releases/{world.state.served('x86_64').archive}/{name}"


def test_a_machine_boots_what_was_published(running: Any, make_image: Any) -> None:
    """Script, kernel and initrd, as iPXE asks for them."""
    files = make_image(1).files

    assert running.boot() == (files["kernel"], files["initrd"])
    assert running.boot("/x86_64/netboot.ipxe") == (files["kernel"], files["initrd"])


def test_the_script_says_what_vouches_for_it(running: Any, world: Any) -> None:
    """Release, digests and system stand in it; it is never kept by a cache."""
    answer = running.ask("/netboot.ipxe")
    release = world.state.served("x86_64")

    assert answer.text.splitlines()[0] == "#!ipxe"
    assert "(signed, release version 1)" in answer.text
    for digest in (release.archive, release.files["kernel"].sha256, release.files["initrd"].sha256, release.toplevel):
        assert digest in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_nothing_else_has_an_address(running: Any, world: Any) -> None:
    """No listing, no way up, no file that only lies beside the others."""
    archive = world.state.served("x86_64").archive
    for path in (
        "/",
        "/releases",
        "/releases/",
        f"/releases/{archive}",
        f"/releases/{archive}/",
        f"/releases/{archive}/release.json",
        f"/releases/{archive}/netboot.ipxe",
        f"/releases/{archive}/../{archive}/kernel",
        f"/releases/{archive}/%2e%2e/{archive}/kernel",
        f"/releases/{archive}/kernel/",
        f"/releases/{archive}/kernel%00",
        f"/releases/{archive.upper()}/kernel",
        "/releases/../../../../etc/passwd",
        "/releases/..%2f..%2fstate/lock",
        "/releases/%2e%2e/standing.json",
        "//etc/passwd",
        "/aarch64/netboot.ipxe",
        "/../netboot.ipxe",
        "/standing.json",
        "/docs",
        "/openapi.json",
    ):
        answer = running.ask(path)
        assert (path, answer.status) == (path, 404)
        assert b"root:" not in answer.body


def test_only_reading_is_allowed(running: Any, world: Any) -> None:
    """Other methods are refused for every address."""
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert running.ask("/netboot.ipxe", method).status == 405
        assert running.ask(address(world), method).status == 405


def test_head_says_what_get_would_send(running: Any, world: Any, make_image: Any) -> None:
    """Without sending it."""
    head, get = running.ask(address(world), "HEAD"), running.ask(address(world))

    assert head.body == b""
    assert get.body == make_image(1).files["kernel"]
    for name in ("content-length", "etag", "accept-ranges", "content-type", "cache-control"):
        assert head.headers[name] == get.headers[name]
    assert running.ask("/netboot.ipxe", "HEAD").status == 200


@pytest.mark.parametrize(
    ("header", "expected"),
    [("bytes=0-9", slice(0, 10)), ("bytes=100-", slice(100, None)), ("bytes=-7", slice(-7, None))],
)
def test_a_part_of_a_file(running: Any, world: Any, make_image: Any, header: str, expected: slice) -> None:
    """As iPXE and download managers ask for it."""
    data = make_image(1).files["kernel"]
    part = data[expected]

    answer = running.ask(address(world), range=header)

    assert (answer.status, answer.body) == (206, part)
    begin = expected.indices(len(data))[0]
    assert answer.headers["content-range"] == f"bytes {begin}-{begin + len(part) - 1}/{len(data)}"
    assert running.ask(address(world), "HEAD", range=header).headers["content-length"] == str(len(part))


def test_a_range_outside_the_file(running: Any, world: Any, make_image: Any) -> None:
    """416, with the size that the file has."""
    answer = running.ask(address(world), range="bytes=1000000-")

    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{len(make_image(1).files['kernel'])}"


def test_several_ranges_are_answered_with_the_whole(running: Any, world: Any) -> None:
    """Nobody boots that way, and multipart answers are a way to make a server work hard."""
    assert running.ask(address(world), range="bytes=0-1,5-6").status == 200


def test_validators(running: Any, world: Any) -> None:
    """The tag is the digest: who has the file gets 304, who has a part of another gets all of this one."""
    tag = f'"{world.state.served("x86_64").files["kernel"].sha256}"'
    assert running.ask(address(world)).headers["etag"] == tag
    assert running.ask(address(world), if_none_match=f'"x", W/{tag}').status == 304
    assert running.ask(address(world), if_none_match="*").status == 304
    assert running.ask(address(world), if_none_match='"x"').status == 200
    assert running.ask(address(world), range="bytes=0-1", if_range=tag).status == 206
    assert running.ask(address(world), range="bytes=0-1", if_range='"x"').status == 200


def test_the_token_guards_the_script(world: Any, make_image: Any, start: Callable[..., Any]) -> None:
    """Wrong, missing or given twice: 403, before anything is said about what is staged."""
    world.publish(make_image(1))
    world.stage()
    running = start(token=TOKEN)
    for query in ("", "?token=", "?token=wrong", f"?token={TOKEN}&token=x", f"?token={TOKEN}x", f"?TOKEN={TOKEN}"):
        assert running.ask(f"/netboot.ipxe{query}").status == 403
        assert running.ask(f"/x86_64/netboot.ipxe{query}").status == 403

    assert running.boot(f"/netboot.ipxe?token={TOKEN}")[0] == make_image(1).files["kernel"]
    assert running.ask("/healthz").status == 200


def test_the_token_is_not_logged(
    world: Any, make_image: Any, start: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    """Paths are, queries are not."""
    from ec_netboot import logs

    logs.configure()
    world.publish(make_image(1))
    world.stage()
    running = start(token=TOKEN)
    running.ask(f"/netboot.ipxe?token={TOKEN}")
    running.stop()  # what is logged is logged after the answer was sent

    said = capfd.readouterr().err
    assert '"path": "/netboot.ipxe"' in said
    assert TOKEN not in said


def test_who_is_not_on_the_list_gets_nothing(world: Any, make_image: Any, start: Callable[..., Any]) -> None:
    """Not the script, not a file, not the metrics."""
    world.publish(make_image(1))
    world.stage()
    running = start('[http]\naddress = "127.0.0.1"\nport = 0\nallowed = ["10.0.0.0/8"]\n')

    for path in ("/netboot.ipxe", address(world), "/healthz", "/metrics", "/nowhere"):
        answer = running.ask(path, x_forwarded_for="10.0.0.1", forwarded="for=10.0.0.1")
        assert (answer.status, answer.body) == (403, b"forbidden\n")


def test_an_ipv4_peer_on_an_ipv6_socket(world: Any, make_image: Any, start: Callable[..., Any]) -> None:
    """It is judged by its IPv4 address."""
    world.publish(make_image(1))
    world.stage()
    try:
        with socket.create_server(("::", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")

    assert start('[http]\naddress = "::"\nport = 0\nallowed = ["127.0.0.0/8"]\n').ask("/netboot.ipxe").status == 200
    assert start('[http]\naddress = "::"\nport = 0\nallowed = ["::1/128"]\n').ask("/netboot.ipxe").status == 403


def test_nothing_staged_is_said(start: Callable[..., Any]) -> None:
    """A machine sees why; a monitor does, too; and once something is staged, it is served."""
    running = start()

    assert running.ask("/netboot.ipxe").status == 503
    assert running.ask("/healthz").status == 503
    assert 'ec_netboot_serving{platform="x86_64"} 0' in running.ask("/metrics").text


def test_a_switch_gives_one_release_or_the_other(running: Any, world: Any, make_image: Any) -> None:
    """A machine that has the old script gets the old kernel and initrd after the switch; the next one the new."""
    old = running.ask("/netboot.ipxe").text
    world.publish(make_image(2))
    world.stage()
    running.refresh()

    (kernel,) = (line.split()[3] for line in old.splitlines() if line.startswith("kernel"))
    (initrd,) = (line.split()[3] for line in old.splitlines() if line.startswith("initrd"))
    first, second = make_image(1).files, make_image(2).files
    assert running.ask(kernel).body == first["kernel"]
    assert running.ask(initrd).body == first["initrd"]
    assert running.boot() == (second["kernel"], second["initrd"])


def test_a_download_that_spans_a_switch_stays_whole(world: Any, make_image: Any, start: Callable[..., Any]) -> None:
    """Also when the release is removed from the disk while it is being read."""
    image = make_image(1)
    image.files["initrd"] = image.boot_initrd + os.urandom(LARGE)
    world.publish(image)
    world.stage()
    running = start()
    with contextlib.closing(running.connect()) as connection:
        connection.request("GET", address(world, "initrd"))
        response = connection.getresponse()
        begin = response.read(1000)
        for version in (2, 3, 4, 5):
            world.publish(make_image(version))
            world.stage()
            running.refresh()
        assert begin + response.read() == image.files["initrd"]
    assert running.boot()[0] == make_image(5).files["kernel"]


def test_a_rollback_is_taken_over(running: Any, world: Any, make_image: Any) -> None:
    """As any other switch."""
    world.publish(make_image(2))
    world.stage()
    running.refresh()
    rollback(world.state, "x86_64", made=0)
    running.refresh()

    assert running.boot()[0] == make_image(1).files["kernel"]


@pytest.mark.parametrize("name", ["kernel", "initrd"])
def test_a_file_that_was_tampered_with_is_not_sent(running: Any, world: Any, name: str) -> None:
    """It was hashed when it was taken over; now it is another, of the same length and date."""
    running.boot()
    (directory,) = world.state.releases.iterdir()
    file = directory / name
    before = file.stat()
    data = bytearray(file.read_bytes())
    data[5] ^= 1
    file.write_bytes(bytes(data))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert running.ask(address(world, name)).status == 503


def test_a_release_that_was_tampered_with_before_is_not_shown(
    world: Any, make_image: Any, start: Callable[..., Any]
) -> None:
    """A server that starts hashes what it finds, and the old release stays where it has one."""
    world.publish(make_image(1))
    world.stage()
    running = start()
    world.publish(make_image(2))
    world.stage()
    new = world.state.releases / world.state.current("x86_64").release
    (new / "initrd").write_bytes(b"x" * (new / "initrd").stat().st_size)
    running.refresh()

    assert running.boot()[0] == make_image(1).files["kernel"]
    assert "is not what was staged" in running.ask("/healthz").text
    assert start().ask("/netboot.ipxe").status == 503


def test_a_link_in_place_of_a_file_is_not_followed(running: Any, world: Any) -> None:
    """Whatever it leads to."""
    running.boot()
    (directory,) = world.state.releases.iterdir()
    (directory / "kernel").unlink()
    (directory / "kernel").symlink_to("/etc/passwd")

    answer = running.ask(address(world))
    assert answer.status == 503
    assert b"root:" not in answer.body


def test_a_withdrawn_release_is_not_served_any_more(running: Any, world: Any) -> None:
    """Once metadata that say so were seen, though nothing replaces it: neither its script nor its files."""
    kernel = address(world)
    world.withdraw(1)
    with contextlib.suppress(Exception):
        world.stage()
    running.refresh()

    assert running.ask("/netboot.ipxe").status == 503
    assert running.ask(kernel).status == 410
    assert running.ask("/healthz").status == 503


def test_two_platforms_find_their_own(world: Any, make_image: Any, start: Callable[..., Any]) -> None:
    """One address for all: a script that asks the machine what it is."""
    world.publish(make_image(1), make_image(1, "aarch64"))
    both = '["x86_64", "aarch64"]'
    world.stage(world.config(platforms=both))
    running = start(token=TOKEN, platforms=both)

    text = running.ask(f"/netboot.ipxe?token={TOKEN}").text

    assert text.splitlines() == [
        "#!ipxe",
        "iseq ${buildarch} arm64 && goto aarch64 ||",
        f"chain --replace /x86_64/netboot.ipxe?token={TOKEN}",
        ":aarch64",
        f"chain --replace /aarch64/netboot.ipxe?token={TOKEN}",
    ]
    assert running.ask("/netboot.ipxe").status == 403
    assert (
        f"boots   {world.state.served('aarch64').toplevel}" in running.ask(f"/aarch64/netboot.ipxe?token={TOKEN}").text
    )


def test_parameters_of_the_operator_follow(world: Any, make_image: Any, start: Callable[..., Any]) -> None:
    """And whole addresses where netboot.toml names them."""
    world.publish(make_image(1))
    world.stage()
    running = start(
        '[script]\nurl = "http://boot.example.org:8080/"\n'
        'kernel_parameters = ["console=ttyS0", "ec.node=https://x.example/${net0/mac:hexhyp}.toml"]\n'
        '[http]\naddress = "127.0.0.1"\nport = 0\n'
    )
    release = world.state.served("x86_64")

    assert (
        f"kernel --name kernel http://boot.example.org:8080/releases/{release.archive}/kernel "
        f"init={release.toplevel}/init loglevel=4 lsm=landlock,yama,bpf initrd=initrd console=ttyS0 "
        "ec.node=https://x.example/${net0/mac:hexhyp}.toml ${cmdline}"
    ) in running.ask("/netboot.ipxe").text.splitlines()


def test_metrics_count(running: Any, world: Any) -> None:
    """By what was asked for, not by what strangers invent."""
    running.boot()
    for number in range(5):
        running.ask(f"/wp-login-{number}.php")
    text = running.ask("/metrics").text

    assert 'ec_netboot_requests_total{route="script",code="200"} 1' in text
    assert 'ec_netboot_requests_total{route="kernel",code="200"} 1' in text
    assert 'ec_netboot_requests_total{route="other",code="404"} 5' in text
    sizes = world.state.served("x86_64").files
    assert f"ec_netboot_sent_bytes_total {sizes['kernel'].size + sizes['initrd'].size}" in text
    assert "wp-login" not in text
    assert text.endswith("# EOF\n")


def test_downloads_are_bounded(world: Any, make_image: Any, start: Callable[..., Any]) -> None:
    """One more is told to come again, which iPXE does."""
    image = make_image(1)
    image.files["initrd"] = image.boot_initrd + bytes(LARGE)
    world.publish(image)
    world.stage()
    running = start('[http]\naddress = "127.0.0.1"\nport = 0\ndownloads = 1\n')
    with contextlib.closing(running.connect()) as first:
        first.request("GET", address(world, "initrd"))
        response = first.getresponse()
        second = running.ask(address(world, "initrd"))
        assert (second.status, second.headers["retry-after"]) == (503, "5")
        assert len(response.read()) == len(image.files["initrd"])
    assert running.ask(address(world, "kernel")).status == 200


def test_connections_are_bounded(world: Any, make_image: Any, start: Callable[..., Any]) -> None:
    """More than netboot.toml says are turned away."""
    world.publish(make_image(1))
    world.stage()
    running = start('[http]\naddress = "127.0.0.1"\nport = 0\nconnections = 3\n')
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            held = stack.enter_context(contextlib.closing(running.connect()))
            held.connect()
        assert running.ask("/netboot.ipxe").status == 503


def test_a_head_that_never_ends_is_cut_off(start: Callable[..., Any]) -> None:
    """One byte a minute holds no place."""
    running = start('[http]\naddress = "127.0.0.1"\nport = 0\nheader = 1\n')
    with socket.create_connection(("127.0.0.1", running.port), 60) as client:
        client.sendall(b"GET /netboot.ipxe HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert client.recv(100) == b""
    with socket.create_connection(("127.0.0.1", running.port), 60) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(20).startswith(b"HTTP/1.1 503")
        client.sendall(b"GET /healthz HT")
        while client.recv(4096):  # until the other end closes it
            pass


def test_a_client_that_reads_nothing_is_cut_off(world: Any, make_image: Any, start: Callable[..., Any]) -> None:
    """It is told from a slow one by not reading at all."""
    image = make_image(1)
    image.files["initrd"] = image.boot_initrd + bytes(LARGE)
    world.publish(image)
    world.stage()
    running = start('[http]\naddress = "127.0.0.1"\nport = 0\nstall = 1\n')
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", running.port))
        client.sendall(f"GET {address(world, 'initrd')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert client.recv(1) == b"H"
        while running.service.metrics.stalled == 0:
            assert running.ask("/healthz").status == 200  # others are served meanwhile
        while running.service.metrics.downloads:
            running.ask("/healthz")


def test_a_client_that_leaves_costs_nothing_more(world: Any, make_image: Any, start: Callable[..., Any]) -> None:
    """The rest of the file is not read for nobody."""
    image = make_image(1)
    image.files["initrd"] = image.boot_initrd + bytes(LARGE)
    world.publish(image)
    world.stage()
    running = start()
    with contextlib.closing(running.connect()) as connection:
        connection.request("GET", address(world, "initrd"))
        connection.getresponse().read(10)
    while running.service.metrics.downloads:
        running.ask("/healthz")

    assert running.service.metrics.bytes < LARGE


@pytest.mark.parametrize(
    "request_line", [b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"A" * 70_000]
)
def test_what_is_no_http(running: Any, request_line: bytes) -> None:
    """Is answered with an error, and the server goes on."""
    with socket.create_connection(("127.0.0.1", running.port), 60) as client, contextlib.suppress(ConnectionError):
        client.sendall(request_line)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100).startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
    assert running.ask("/healthz").status == 200


def test_what_cannot_be_taken_over_is_not_hashed_each_second(
    world: Any, make_image: Any, start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image takes seconds to hash: a damaged one is looked at again after a while, another one at once."""
    from ec_netboot import staged

    asked: list[str] = []
    real = staged.load

    def load(state: Any, directory: str) -> Any:
        asked.append(directory)
        return real(state, directory)

    world.publish(make_image(1))
    world.stage()
    running = start()
    running.boot()
    monkeypatch.setattr(staged, "load", load)
    world.publish(make_image(2))
    world.stage()
    asked.clear()
    damaged = world.state.current("x86_64").release
    whole = (world.state.releases / damaged / "kernel").read_bytes()
    (world.state.releases / damaged / "kernel").write_bytes(b"damaged")
    for _ in range(70):
        running.refresh()
    assert asked == [damaged, damaged]

    (world.state.releases / damaged / "kernel").write_bytes(whole)
    for _ in range(60):
        running.refresh()

    assert running.boot()[0] == whole
    assert running.shelf.problem is None
