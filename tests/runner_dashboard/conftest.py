"""A dashboard on loopback with a clock that stands still, on either database, and machines that report to it."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import structlog
from sqlalchemy import text
from tests.runner_dashboard.cluster import PROGRAMS, Cluster
from tests.runner_dashboard.forges import TOKEN, Forges

from runner_dashboard import server
from runner_dashboard.config import Config, DatabaseTable, ForgeTable, IngestTable, ServerTable
from runner_dashboard.demo.machine import Machine, Release
from runner_dashboard.services import Services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

NOW = 1_790_000_000
MEDIA_TYPE = "application/vnd.dsse.envelope+json"
BACKENDS = ("sqlite", "postgresql")
# About doors, words and drawings: these ask the database for little, and for nothing of its own. With EC_EVERY_DATABASE
# in the environment they, too, run on both.
ONCE = {
    "test_authority", "test_authorization", "test_charts", "test_pages", "test_passkeys", "test_provider", "test_proxy",
    "test_runners", "test_sessions",
}  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is about data on both databases."""
    once = metafunc.module.__name__.rpartition(".")[2] in ONCE and not os.environ.get("EC_EVERY_DATABASE")
    for name, scope in (("storage", "function"), ("shared_storage", "module")):
        if name in metafunc.fixturenames:
            backends = BACKENDS[:1] if once else BACKENDS
            metafunc.parametrize(name, backends, indirect=True, scope=scope)


@pytest.fixture(autouse=True)
def _forget_logging() -> Iterator[None]:
    """Leave no logger behind that writes to the standard error of a test that has ended."""
    yield
    structlog.reset_defaults()


class Clock:
    """Seconds since 1970, moved by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """Return the time."""
        return float(self.now)


@dataclass(frozen=True)
class Answer:
    """What the dashboard answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a refusal."""
        return str(self.json["code"])


@dataclass
class Dashboard:
    """A dashboard that is served; *admin* is its first token."""

    services: Services
    port: int
    admin: str
    clock: Clock
    cookie: str = field(default="", repr=False)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and return the answer."""
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=body or None, headers=sent)
            response = connection.getresponse()
            cookies = response.headers.get_all("Set-Cookie", ())
            return Answer(
                response.status, {k.lower(): v for k, v in response.getheaders()}, response.read(), tuple(cookies)
            )
        finally:
            connection.close()

    def get(self, path: str, **options: Any) -> Answer:
        """Ask as the administrator."""
        return self.ask("GET", path, token=self.admin, **options)

    def post(self, path: str, document: Any, *, token: str | None = None) -> Answer:
        """Send JSON, as the administrator unless with another *token*."""
        headers = {"Content-Type": "application/json"}
        return self.ask("POST", path, json.dumps(document).encode(), token=token or self.admin, headers=headers)

    @contextmanager
    def stream(self, token: str | None = None, last: str | None = None) -> Iterator[Any]:
        """Ask for the stream of changes; give the answer, to be read as it comes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {token or self.admin}"} | ({} if last is None else {"Last-Event-ID": last})
        connection.request("GET", "/live", headers=headers)
        response = connection.getresponse()
        try:
            yield response
        finally:
            response.close()
            connection.close()

    def begin_stream(self, token: str | None) -> Answer:
        """Ask for the stream and go; return how it began."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/live", headers={} if token is None else {"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        response.close()
        connection.close()
        return Answer(response.status, headers, b"")

    def nonce(self, token: str | None = None) -> str:
        """Ask for a nonce."""
        return str(self.ask("POST", "/api/v1/nonces", token=token).json["nonce"])

    def send(self, envelope: bytes, token: str | None = None, media_type: str = MEDIA_TYPE) -> Answer:
        """Send a report."""
        return self.ask("POST", "/api/v1/reports", envelope, token=token, headers={"Content-Type": media_type})

    def enrol(self, machine: Machine) -> None:
        """Enrol a machine by its key."""
        from runner_dashboard.fleet import enrolment

        self.services.database.write(
            lambda connection: enrolment.enrol_key(
                connection, NOW, key=machine.public_key, name=machine.name, by="test"
            )
        )

    def count(self, table: str, where: str = "1 = 1") -> int:
        """Return how many rows *table* has."""
        with self.services.database.read() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM {table} WHERE {where}")).scalar_one())  # noqa: S608 - ours


@contextmanager
def served(config: Config, clock: Clock, admin: str | None = None) -> Iterator[Dashboard]:
    """Serve a dashboard in a thread. *admin* is a token that its database has already."""
    with server.opened(config) as opened, server.listen(config) as listening:
        services = Services(config, opened.database, clock)
        made = services.begin()
        assert (made is None) == (admin is not None)
        uvicorn = server.prepared(services)
        thread = threading.Thread(target=lambda: asyncio.run(uvicorn.serve(sockets=[listening])))
        thread.start()
        try:
            yield Dashboard(services, listening.getsockname()[1], made.render() if made else admin or "", clock)
        finally:
            services.bus.close()  # as a server does that is stopped: streams have no end of their own
            uvicorn.should_exit = True
            thread.join()


@pytest.fixture(scope="session")
def serve_config() -> Callable[..., Any]:
    """Give a function that serves a dashboard with the given configuration, for as long as its context lasts."""
    return lambda config, admin=None: served(config, Clock(), admin)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Give a PostgreSQL server."""
    if not PROGRAMS:
        pytest.skip("no PostgreSQL server: neither on the PATH nor in /usr/lib/postgresql")
    found = Cluster(PROGRAMS[0])
    try:
        yield found
    finally:
        found.close()


def _stored(request: pytest.FixtureRequest) -> Iterator[DatabaseTable]:
    if request.param == "sqlite":
        yield DatabaseTable()
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    address = cluster.create()
    try:
        yield DatabaseTable(url=address)
    finally:
        cluster.drop(address)


@pytest.fixture
def storage(request: pytest.FixtureRequest) -> Iterator[DatabaseTable]:
    """Give the table of the configuration that names a new database: once of each kind."""
    yield from _stored(request)


@pytest.fixture(scope="module")
def shared_storage(request: pytest.FixtureRequest) -> Iterator[DatabaseTable]:
    """Give the same for all tests of a module."""
    yield from _stored(request)


@pytest.fixture
def serve(tmp_path: Path, storage: DatabaseTable) -> Callable[..., Any]:
    """Give a function that serves a dashboard with the given tables of configuration."""

    @contextmanager
    def begin(**tables: Any) -> Iterator[Dashboard]:
        tables.setdefault("server", ServerTable(port=0, grace=5))
        tables.setdefault("database", storage)
        with served(Config(state_dir=str(tmp_path / "state"), **tables), Clock()) as dashboard:
            yield dashboard

    return begin


@pytest.fixture
def dashboard(serve: Callable[..., Any]) -> Iterator[Dashboard]:
    """Give a dashboard that takes envelopes of up to one MiB."""
    with serve(ingest=IngestTable(max_envelope=1, in_flight=4)) as found:
        yield found


@pytest.fixture
def machine() -> Machine:
    """Give a machine that nobody knows yet."""
    return Machine("runner-1", Release(1))


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Browser:
    """Somebody with a cookie."""

    def __init__(self, dashboard: Dashboard) -> None:
        self.dashboard = dashboard
        self.cookie = ""

    def get(self, path: str) -> Any:
        """Load a page."""
        return self.dashboard.ask("GET", path, headers={"Cookie": self.cookie})

    def send(self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Any:
        """Send a form."""
        sent = {**FORM, "Cookie": self.cookie, **(headers or {})}
        return self.dashboard.ask("POST", path, urlencode(fields).encode(), headers=sent)

    def sign_in(self, token: str, **fields: str) -> Any:
        """Sign in, and keep the cookie."""
        answer = self.send("/sign-in", {"token": token, **fields})
        self.cookie = answer.headers.get("set-cookie", "").partition(";")[0]
        return answer

    def form_value(self, path: str) -> str:
        """Return the value that forms of a page bring back."""
        (value, *_) = re.findall(r'name="form_value" value="([^"]+)"', self.get(path).text)
        return str(value)


@pytest.fixture
def browse() -> Callable[[Dashboard], Browser]:
    """Give a function that returns a browser for a dashboard."""
    return Browser


@pytest.fixture
def new_browser(dashboard: Dashboard) -> Callable[[], Browser]:
    """Give a function that returns a browser without a cookie."""
    return lambda: Browser(dashboard)


@pytest.fixture
def browser(dashboard: Dashboard, new_browser: Callable[[], Browser]) -> Browser:
    """Give a browser in which an administrator signed in."""
    found = new_browser()
    assert found.sign_in(dashboard.admin).status == 303
    return found


@pytest.fixture(scope="module")
def shared_dashboard(tmp_path_factory: pytest.TempPathFactory, shared_storage: DatabaseTable) -> Iterator[Dashboard]:
    """Give one dashboard to all tests of a module: they must not need it to be new."""
    state = str(tmp_path_factory.mktemp("state"))
    config = Config(state_dir=state, server=ServerTable(port=0, grace=5), database=shared_storage)
    with served(config, Clock()) as found:
        yield found


@pytest.fixture
def forges() -> Iterator[Forges]:
    """Give three forges."""
    found = Forges()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


@pytest.fixture
def asking(serve: Any, forges: Forges, tmp_path: Path) -> Iterator[Any]:
    """Give a dashboard that asks all three."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    token = str(tmp_path / "token")
    with serve(
        forgejo=ForgeTable(url=forges.url, scope="acme", token_file=token),
        github=ForgeTable(url=forges.url, scope="acme/site", token_file=token),
        gitlab=ForgeTable(url=forges.url, scope="group:acme/fleet", token_file=token),
    ) as dashboard:
        yield dashboard
