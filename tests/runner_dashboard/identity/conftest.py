"""Services on loopback that say who people are, and dashboards that ask them."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from runner_dashboard.config import ServerTable, SignInTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECRET = "the-client-secret"  # noqa: S105 - of a service that lives for one test
CLIENT = "dashboard"
PUBLIC = "http://localhost"


class Service:
    """What both services share: *faults* replace an answer by (status, bytes) once its path is asked."""

    def __init__(self) -> None:
        self.faults: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.codes: dict[str, dict[str, str]] = {}
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer({})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self.answer({name: values[0] for name, values in parse_qs(body).items()})

            def answer(self, form: dict[str, str]) -> None:
                path = urlsplit(self.path).path
                service.asked.append(path)
                status, body = service.faults.get(path) or service.reply(path, form, dict(self.headers))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.home = f"http://127.0.0.1:{self.server.server_port}"

    def reply(self, path: str, form: dict[str, str], headers: dict[str, str]) -> tuple[int, bytes]:
        """Return what is answered."""
        raise NotImplementedError

    def allow(self, location: str, code: str = "the-code") -> dict[str, str]:
        """Be the page on which somebody agrees: remember the attempt, and return what the browser brings back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert asked["code_challenge_method"] == "S256"
        assert asked["client_id"] == CLIENT
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def redeemed(self, form: dict[str, str]) -> dict[str, str] | None:
        """Take a code, once, from who knows what the attempt was begun with; return that."""
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None or form.get("redirect_uri") != asked["redirect_uri"]:
            return None
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        fits = base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
        return asked if fits else None


class OpenId(Service):
    """An OpenID provider: *claims* are laid over what its tokens say."""

    def __init__(self) -> None:
        super().__init__()
        self.key = ECKey.generate_key("P-256", {"kid": "one", "use": "sig"}, auto_kid=False)
        self.shown = [self.key]
        self.claims: dict[str, Any] = {}
        self.info: dict[str, Any] = {"sub": "7"}
        self.now = 0
        self.raw: Callable[[dict[str, Any]], str] | None = None
        self.methods = ["client_secret_basic"]

    def reply(self, path: str, form: dict[str, str], headers: dict[str, str]) -> tuple[int, bytes]:
        """Return what is answered."""
        if path == "/.well-known/openid-configuration":
            return self.said(
                {
                    "issuer": self.home,
                    "authorization_endpoint": f"{self.home}/authorize",
                    "token_endpoint": f"{self.home}/token",
                    "jwks_uri": f"{self.home}/keys",
                    "userinfo_endpoint": f"{self.home}/userinfo",
                    "token_endpoint_auth_methods_supported": self.methods,
                }
            )
        if path == "/keys":
            return self.said(KeySet(list(self.shown)).as_dict(private=False))
        if path == "/userinfo":
            return self.said(self.info if headers.get("Authorization") == "Bearer access" else {"sub": "nobody"})
        assert path == "/token"
        basic = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if headers.get("Authorization") != basic and form.get("client_secret") != SECRET:
            return 401, b'{"error": "invalid_client"}'
        asked = self.redeemed(form)
        if asked is None:
            return 400, b'{"error": "invalid_grant"}'
        claims = {
            "iss": self.home, "sub": "7", "aud": CLIENT, "iat": self.now, "exp": self.now + 300,
            "nonce": asked["nonce"], "preferred_username": "alice", "name": "Alice", "groups": ["ops"], **self.claims,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        return self.said({"access_token": "access", "id_token": self.token(claims)})

    def token(self, claims: dict[str, Any]) -> str:
        """Sign *claims*."""
        return self.raw(claims) if self.raw else jwt.encode({"alg": "ES256", "kid": self.key.kid}, claims, self.key)

    def said(self, document: Any) -> tuple[int, bytes]:
        """Return an answer that is in order."""
        return 200, json.dumps(document).encode()


class GitHub(Service):
    """GitHub, as far as it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.user: Any = {"id": 42, "login": "octo", "name": "Octo Cat"}
        self.orgs: Any = [{"login": "acme"}]

    def reply(self, path: str, form: dict[str, str], headers: dict[str, str]) -> tuple[int, bytes]:
        """Return what is answered."""
        if path == "/login/oauth/access_token":
            fine = form.get("client_secret") == SECRET and self.redeemed(form) is not None
            return 200, b'{"access_token": "access"}' if fine else b'{"error": "bad_verification_code"}'
        assert headers["Authorization"] == "Bearer access"
        found = {"/api/v3/user": self.user, "/api/v3/user/orgs": self.orgs}[path]
        return 200, json.dumps(found).encode()


@contextmanager
def running(service: Service) -> Iterator[Any]:
    """Serve *service* in a thread."""
    thread = threading.Thread(target=service.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        service.server.shutdown()
        service.server.server_close()
        thread.join()


@pytest.fixture
def openid() -> Iterator[OpenId]:
    """Give an OpenID provider."""
    with running(OpenId()) as found:
        yield found


@pytest.fixture
def github() -> Iterator[GitHub]:
    """Give a GitHub Enterprise server."""
    with running(GitHub()) as found:
        yield found


@pytest.fixture
def asking(serve: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Give a function that serves a dashboard whose people come from a service."""

    @contextmanager
    def begin(service: Service, **changes: Any) -> Iterator[Any]:
        secret = tmp_path / "client-secret"
        secret.write_text(f"{SECRET}\n")
        table = {
            "kind": "oidc", "name": "Our forge", "issuer": service.home, "client_id": CLIENT,
            "client_secret_file": str(secret), "admins": ("alice",),
        } | changes  # fmt: skip
        server = ServerTable(port=0, grace=5, public_url=PUBLIC)
        with serve(server=server, sign_in=SignInTable(**table)) as dashboard:
            if isinstance(service, OpenId):
                service.now = dashboard.clock.now
            yield dashboard

    return begin
