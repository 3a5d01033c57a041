"""`ec-netboot serve` as a process: it takes over what is staged, and ends as it should."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ec_netboot import privileges
from ec_netboot.errors import ServeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HTTP = '[http]\naddress = "127.0.0.1"\nport = 0\n'


class Server:
    """The process; *said* are the events that it logged until `wait_for` returned."""

    def __init__(self, file: Path, *options: str, environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ec_netboot", "serve", "--config", file, *options],
            stderr=subprocess.PIPE,
            env=os.environ | (environment or {}),
        )

    def wait_for(self, event: str) -> dict[str, Any]:
        """Return the first event of that name. Fails when the process ends without it."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith(b"{"):
                found: dict[str, Any] = json.loads(line)
                if found["event"] == event:
                    return found
        pytest.fail(f"no {event}")

    def ask(self, port: int, path: str) -> tuple[int, str]:
        """Ask it for *path*."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()


@pytest.fixture
def file(world: Any) -> Path:
    """Give a configuration."""
    found: Path = world.path / "netboot.toml"
    found.write_text(world.toml(HTTP))
    return found


@pytest.fixture
def server(world: Any, make_image: Any, file: Path) -> Iterator[Server]:
    """Give a running server of release 1."""
    world.publish(make_image(1))
    world.stage()
    found = Server(file)
    with found.process:
        yield found
        found.process.kill()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_told_to(server: Server, how: signal.Signals) -> None:
    """With 0: a service manager asked for it."""
    port = server.wait_for("listening")["port"]
    assert server.ask(port, "/healthz")[0] == 200

    server.process.send_signal(how)

    assert server.process.wait(30) == 0


def test_what_is_staged_meanwhile_is_taken_over(server: Server, world: Any, make_image: Any) -> None:
    """Without a signal, within seconds."""
    port = server.wait_for("listening")["port"]
    assert "release version 1" in server.ask(port, "/netboot.ipxe")[1]
    world.publish(make_image(2))
    world.stage()
    server.wait_for("serving")

    assert "release version 2" in server.ask(port, "/netboot.ipxe")[1]


def test_a_new_token_is_read_on_request(world: Any, make_image: Any) -> None:
    """SIGHUP; a file that holds none leaves the old one in force."""
    world.publish(make_image(1))
    world.stage()
    token = world.path / "token"
    token.write_text("first-chain-token-1\n")
    file = world.path / "netboot.toml"
    file.write_text(world.toml(f'{HTTP}token_file = "{token}"\n'))
    server = Server(file)
    with server.process:
        port = server.wait_for("listening")["port"]
        assert server.ask(port, "/netboot.ipxe?token=first-chain-token-1")[0] == 200
        token.write_text("short")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("the old chain token stays")
        assert server.ask(port, "/netboot.ipxe?token=first-chain-token-1")[0] == 200
        token.write_text("second-chain-token\n")
        server.process.send_signal(signal.SIGHUP)
        while server.ask(port, "/netboot.ipxe?token=second-chain-token")[0] != 200:
            pass
        assert server.ask(port, "/netboot.ipxe?token=first-chain-token-1")[0] == 403
        server.process.terminate()


def test_a_credential_goes_before_the_file(world: Any, make_image: Any, file: Path) -> None:
    """As systemd hands it over."""
    world.publish(make_image(1))
    world.stage()
    (world.path / "chain-token").write_text("credential-token-1")
    server = Server(file, environment={"CREDENTIALS_DIRECTORY": str(world.path)})
    with server.process:
        port = server.wait_for("listening")["port"]
        assert server.ask(port, "/netboot.ipxe")[0] == 403
        assert server.ask(port, "/netboot.ipxe?token=credential-token-1")[0] == 200
        server.process.terminate()


def test_systemd_is_told_when_it_is_ready(world: Any, file: Path) -> None:
    """And when it ends."""
    address = str(world.path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(60)
        server = Server(file, environment={"NOTIFY_SOCKET": address})
        with server.process:
            assert manager.recv(100) == b"READY=1"
            server.process.terminate()
            assert manager.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ('[http]\naddress = "127.0.0.1"\nport = {port}\n', (), "address already in use"),
        ('[http]\naddress = "192.0.2.1"\n', (), "cannot assign requested address"),
        (HTTP, ("--only", "boot"), "there is nothing to serve"),
        (HTTP + 'token_file = "/nonexistent"\n', (), "/nonexistent: cannot be read"),
        (HTTP + '[tftp]\nenabled = true\naddress = "127.0.0.1"\nbios = "/nonexistent"\n', (), "cannot be read"),
    ],
)
def test_what_cannot_be_served_is_said(world: Any, text: str, options: tuple[str, ...], said: str) -> None:
    """In one line, with a hint, and another exit code than 0."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        file = world.path / "netboot.toml"
        file.write_text(world.toml(text.replace("{port}", str(taken.getsockname()[1]))))
        done = subprocess.run(
            [sys.executable, "-m", "ec_netboot", "serve", "--config", file, *options],
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode in (2, 3)
    assert said in done.stderr.lower()
    assert "  hint: " in done.stderr


def test_a_dnsmasq_that_cannot_be_kept_ends_it(world: Any) -> None:
    """A boot server that firmware cannot reach must not look healthy: the service manager is told."""
    (world.path / "ipxe").write_bytes(b"ipxe")
    program = world.path / "dnsmasq"
    program.write_text(
        "#!/bin/sh\nkill -9 $PPID\n"
    )  # the keeper itself is gone at once: nobody waits for it to give up
    program.chmod(0o755)
    file = world.path / "netboot.toml"
    file.write_text(
        world.toml(
            f'{HTTP}[tftp]\nenabled = true\naddress = "127.0.0.1"\nbios = "{world.path}/ipxe"\nprogram = "{program}"\n'
        ).replace("[trust]", f'runtime_dir = "{world.path}/run"\n[trust]')
    )

    done = subprocess.run(
        [sys.executable, "-m", "ec_netboot", "serve", "--config", file], capture_output=True, text=True, check=False
    )

    assert (done.returncode, "dnsmasq cannot be kept running" in done.stderr) == (3, True), done.stderr


@pytest.mark.root
def test_rights_are_given_up_for_good() -> None:
    """Afterwards nothing of root's can be had back."""
    child = os.fork()
    if not child:
        code = 1
        try:
            privileges.drop("nobody")
            if 0 not in os.getresuid() + os.getresgid() and not os.getgroups():
                try:
                    os.setuid(0)
                except PermissionError:
                    code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.root
@pytest.mark.parametrize("user", ["root", "no-such-user-here"])
def test_a_user_that_cannot_be_become(user: str) -> None:
    """Root again, or nobody."""
    with pytest.raises(ServeError, match=user):
        privileges.drop(user)
