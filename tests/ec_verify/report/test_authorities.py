"""Certificate authorities of the operator's own, for the dashboard and for the release server."""

from __future__ import annotations

import http.server
import ssl
import threading
from typing import TYPE_CHECKING

import pytest
import trustme

from ec_verify import config
from ec_verify.config_tables import ReportTable
from ec_verify.errors import ConfigError
from ec_verify.report.submit import Dashboard, SubmitError
from ec_verify.trust import establish

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.ec_verify.conftest import Names, Node


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """Give the certificate of an authority that no system knows."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    made.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    return tmp_path / "ca.pem"


@pytest.fixture
def secure(authority: Path) -> Iterator[str]:
    """Give the address of a dashboard that this authority vouches for."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.with_name("server.pem"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that hangs up is expected here
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_dashboard_is_believed_by_the_authority_that_is_named(secure: str, authority: Path) -> None:
    """And by no other: the harmless twin of a dashboard that somebody else runs."""
    named = Dashboard.of(ReportTable(url=secure, ca_file=str(authority)))
    assert named is not None
    named.send(b"report")

    systems = Dashboard.of(ReportTable(url=secure))
    assert systems is not None
    with pytest.raises(SubmitError, match=r"(?i)certificate"):
        systems.send(b"report")


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_without_certificates_is_a_mistake_of_the_configuration(tmp_path: Path, content: bytes | None) -> None:
    """Said before anything is sent, with the key and the file."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(ConfigError, match=r"report\.ca_file cannot be used") as caught:
        Dashboard.of(ReportTable(url="https://dashboard.invalid", ca_file=str(file)))

    assert str(file) == caught.value.place


@pytest.mark.nix
def test_the_release_server_may_have_an_authority_of_its_own(node: Node, names: type[Names], authority: Path) -> None:
    """The file is read before the network is asked, and handed on."""
    node.tables["trust"] = {"ca_file": str(authority)}
    good = config.load(node.configure()).config
    assert establish(good, node.path("system"), (), time=names.now).manifest is not None

    node.tables["trust"] = {"ca_file": str(authority.with_name("gone.pem"))}
    with pytest.raises(ConfigError, match=r"trust\.ca_file cannot be used"):
        establish(config.load(node.configure()).config, node.path("system"), (), time=names.now)
