"""Several dashboards behind one PostgreSQL: they see each other, keep nothing twice, and outlive its loss."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from sqlalchemy import select, text
from tests.runner_dashboard.conftest import Clock, Dashboard, served

from runner_dashboard import main
from runner_dashboard.config import Config, DatabaseTable, IngestTable, ServerTable, decode
from runner_dashboard.data import opening, postgresql
from runner_dashboard.data.backend import exclusively
from runner_dashboard.data.database import Database
from runner_dashboard.data.tables import events, nodes, signing_keys, tokens
from runner_dashboard.demo.machine import Machine, Release
from runner_dashboard.errors import ConfigError, DatabaseError
from runner_dashboard.events.bus import KEPT
from runner_dashboard.events.event import Event, emit
from runner_dashboard.fleet import enrolment
from runner_dashboard.identity.keys import ROTATION
from runner_dashboard.services import Services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection
    from tests.runner_dashboard.cluster import Cluster

NOW = 1_790_000_000
PASSWORD = "correct-horse-battery"  # noqa: S105 - of nothing


@pytest.fixture
def address(cluster: Cluster) -> Iterator[str]:
    """Give the address of a database with this version's schema."""
    made = cluster.create()
    yield made
    cluster.drop(made)


@pytest.fixture
def database(address: str) -> Iterator[Database]:
    """Give a database that nobody else has open."""
    with Database(postgresql.parsed(address)) as made:
        yield made


@contextmanager
def replicas(address: str, tmp_path: Path, count: int = 2) -> Iterator[list[Dashboard]]:
    """Serve one database by several dashboards. The token of the first is good for all."""
    with ExitStack() as stack:
        found = []
        for number in range(count):
            config = Config(
                state_dir=str(tmp_path / f"state-{number}"),
                server=ServerTable(port=0, grace=5),
                database=DatabaseTable(url=address),
                ingest=IngestTable(max_envelope=1, in_flight=4),
            )
            found.append(stack.enter_context(served(config, Clock(), admin=found[0].admin if found else None)))
        yield found


async def until(database: Database, last: int, node: str, begin: Callable[[], object]) -> list[Event]:
    """Return the events after *last* up to one about *node*, which *begin* makes happen."""
    found: list[Event] = []
    with database.bus.subscribe(last) as told:
        begin()
        while not found or found[-1].node != node:
            found.append(await asyncio.wait_for(anext(told), 60))
    return found


def at_once(*work: Callable[[], Any]) -> list[Any]:
    """Do all of *work* in threads that begin together, and return what came of it."""
    barrier = threading.Barrier(len(work))

    def one(what: Callable[[], Any]) -> Any:
        barrier.wait(60)
        return what()

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(one, work))


class TestShared:
    """Two dashboards, one database."""

    def test_an_event_of_one_is_told_by_the_other(self, address: str, tmp_path: Path, machine: Machine) -> None:
        """With one number everywhere: a browser may reconnect to either."""
        with replicas(address, tmp_path) as (one, other):
            one.enrol(machine)
            buses = [each.services.database for each in (one, other)]
            node = one.send(machine.sign(machine.passed(NOW))).json["node"]
            told = [asyncio.run(until(each, 0, "end", lambda: one.services.database.write(self.end))) for each in buses]

        assert ("report", node) in [(event.kind, event.node) for event in told[0]]
        assert told[0][-1].kind == "runner"
        assert {event.id: event for event in told[1]}.items() >= {told[0][-2].id: told[0][-2]}.items()

    @staticmethod
    def end(connection: Connection) -> None:
        """Let the event happen that ends what is looked at."""
        emit(connection, "runner", "end", NOW)

    def test_one_report_sent_to_both_is_kept_once(self, address: str, tmp_path: Path, machine: Machine) -> None:
        """One says that it is new, the other that it is known."""
        with replicas(address, tmp_path) as (one, other):
            one.enrol(machine)
            for _ in range(10):
                body = machine.sign(machine.passed(NOW))
                answers = at_once(partial(one.send, body), partial(other.send, body))
                assert [201, 208] == sorted(answer.status for answer in answers)
            assert one.count("reports") == 10

    def test_one_nonce_brought_back_twice_counts_once(self, address: str, tmp_path: Path) -> None:
        """By two nodes to two dashboards at one time: what must be unique is refused by the database."""
        machines = [Machine(f"runner-{number}", Release(1)) for number in range(2)]
        with replicas(address, tmp_path) as both:
            for machine in machines:
                both[0].enrol(machine)
            for _ in range(10):
                nonce = both[0].nonce()
                bodies = [machine.sign(replace(machine.passed(NOW), nonce=nonce)) for machine in machines]
                answers = at_once(*(partial(to.send, body) for to, body in zip(both, bodies, strict=True)))
                assert [201, 422] == sorted(answer.status for answer in answers)

    def test_one_number_under_two_reports_is_noticed(self, address: str, tmp_path: Path, machine: Machine) -> None:
        """Whichever came first, the other is refused, and the suspicion is kept."""
        with replicas(address, tmp_path) as (one, other):
            one.enrol(machine)
            first = machine.passed(NOW)
            bodies = [machine.sign(first), machine.sign(replace(first, finished=NOW + 1))]
            answers = at_once(partial(one.send, bodies[0]), partial(other.send, bodies[1]))
            assert [201, 409] == sorted(answer.status for answer in answers)
            assert one.count("suspicions", "code = 'RD002'") == 1

    def test_a_one_time_token_enrols_one_node(self, address: str, tmp_path: Path) -> None:
        """Also when two bring it to two dashboards at one time."""
        with replicas(address, tmp_path) as (one, other):
            for _ in range(5):
                token = one.post("/api/v1/enrolments", {}).json["token"]
                first, second = (made.sign(made.passed(NOW)) for made in (Machine("new", Release(1)) for _ in range(2)))
                answers = at_once(partial(one.send, first, token), partial(other.send, second, token))
                assert [201, 403] == sorted(answer.status for answer in answers)

    def test_a_nonce_of_one_is_good_at_the_other(self, address: str, tmp_path: Path, machine: Machine) -> None:
        """Also when a new key signed it, of which the other has not heard yet."""
        with replicas(address, tmp_path) as (one, other):
            one.enrol(machine)
            other.nonce()
            one.clock.now += ROTATION + 1
            answer = other.send(machine.sign(replace(machine.passed(NOW), nonce=one.nonce())))
            assert (answer.status, one.count("signing_keys")) == (422, 2)

            other.clock.now += ROTATION - 1
            answer = other.send(machine.sign(replace(machine.passed(NOW), nonce=one.nonce())))
            assert (answer.status, answer.json["late"]) == (201, False)

    def test_first_starts_at_one_time_make_one_token_and_one_key(self, address: str, tmp_path: Path) -> None:
        """Whoever is told of a token can use it."""

        def start(number: int) -> Any:
            config = Config(state_dir=str(tmp_path / str(number)), database=DatabaseTable(url=address))
            with opening.database(config) as database:
                services = Services(config, database, Clock())
                made = services.begin()
                services.nonces.hand_out(NOW, "")
                return made

        made = at_once(*(lambda number=number: start(number) for number in range(4)))

        assert 1 == len([one for one in made if one is not None])
        with Database(postgresql.parsed(address)) as database, database.read() as connection:
            assert 1 == len(connection.execute(select(tokens)).all())
            assert 1 == len(connection.execute(select(signing_keys)).all())

    def test_migrations_run_one_at_a_time(self, cluster: Cluster) -> None:
        """Whoever starts second waits, and finds them done."""
        empty = cluster.create("template1")

        def migrate() -> tuple[str | None, str]:
            with Database(postgresql.parsed(empty)) as database:
                return database.migrate()

        done = at_once(*[migrate] * 4)
        cluster.drop(empty)

        assert 1 == [before for before, _ in done].count(None)
        assert 1 == len({after for _, after in done})

    def test_events_of_many_writers_are_told_in_order_and_whole(self, address: str) -> None:
        """However their transactions overlap, no number appears before a smaller one, at either server."""
        with ExitStack() as stack:
            databases = [stack.enter_context(Database(postgresql.parsed(address))) for _ in range(2)]
            for database in databases:
                database.listen()
            names = [str(number) for number in range(200)]
            futures = [
                databases[at % 2].writer.submit(partial(emit, kind="report", node=name, at=NOW))
                for at, name in enumerate(names)
            ]
            for future in futures:
                future.result()
            told = [
                asyncio.run(until(database, 0, "end", lambda: databases[0].write(TestShared.end)))
                for database in databases
            ]

        for seen in told:
            numbers = [event.id for event in seen if event.kind == "report"]
            assert (200, sorted(numbers)) == (len(set(numbers)), numbers)
            assert set(names) == {event.node for event in seen if event.kind == "report"}

    def test_old_events_are_removed(self, address: str) -> None:
        """The newest are kept for who starts, and for who reconnects."""
        with Database(postgresql.parsed(address)) as database:
            many = text("INSERT INTO events (kind, node, at) SELECT 'node', '', 1 FROM generate_series(1, :count)")
            database.write(lambda connection: connection.execute(many, {"count": 4 * KEPT}))
            database.listen()
            asyncio.run(until(database, 4 * KEPT - 1, "end", lambda: database.write(TestShared.end)))
            with database.read() as connection:
                oldest = connection.execute(select(events.c.id).order_by(events.c.id).limit(1)).scalar_one()

        assert 2 * KEPT <= oldest <= 2 * KEPT + 2
        assert ["reset"] == [one.kind for one in database.bus.since(2 * KEPT)]


class TestLost:
    """The server goes away."""

    def test_requests_are_asked_to_come_again_and_then_served(
        self, cluster: Cluster, address: str, tmp_path: Path, machine: Machine
    ) -> None:
        """503 with a time, from every way in; afterwards everything goes on, and events of meanwhile arrive."""
        with replicas(address, tmp_path) as (one, other):
            one.enrol(machine)
            last = other.services.bus.newest
            kept = machine.sign(machine.passed(NOW))
            assert one.send(kept).status == 201
            cluster.stop()
            try:
                body = machine.sign(machine.passed(NOW))
                answers = [one.send(body), one.get("/api/v1/nodes"), one.get("/readyz"), one.get("/nodes")]
                assert one.ask("GET", "/healthz").status == 200
            finally:
                cluster.start()
            assert [503] * 4 == [answer.status for answer in answers]
            assert {"10"} == {answer.headers["retry-after"] for answer in answers}
            assert not any(str(cluster.room) in answer.text for answer in answers)

            assert [one.send(each).status for each in (kept, body)] == [208, 201]
            assert one.get("/readyz").status == 200
            told = asyncio.run(
                until(
                    other.services.database, last, "end",
                    lambda: one.services.database.write(lambda connection: emit(connection, "runner", "end", NOW)),
                )
            )  # fmt: skip
            assert [event.kind for event in told].count("report") == 2

    def test_a_deadlock_is_tried_again(self, database: Database) -> None:
        """Whoever the server chose to undo does its work after the other."""
        barrier = threading.Barrier(2)
        met = threading.local()

        def cross(first: Any, second: Any) -> Callable[[Connection], str]:
            def work(connection: Connection) -> str:
                exclusively(connection, first)
                if not getattr(met, "before", False):
                    met.before = True
                    barrier.wait(60)
                exclusively(connection, second)
                return "done"

            return work

        futures = [
            database.writer.submit(cross("compaction", "first token")),
            database.writer.submit(cross("first token", "compaction")),
        ]

        assert ["done"] * 2 == [future.result(60) for future in futures]


class TestAddress:
    """Where the database is: a secret."""

    def test_it_is_in_no_message(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Neither of what is valid, nor of a server that is not there."""
        secret = tmp_path / "url"
        secret.write_text(f"postgresql://ada:{PASSWORD}@127.0.0.1:1/fleet?connect_timeout=1\n")
        config = tmp_path / "dashboard.toml"
        config.write_text(f'state_dir = "{tmp_path}"\n[database]\nurl_file = "{secret}"\n')
        codes = [main.run([command, "--config", str(config)]) for command in ("check", "migrate", "serve")]

        written = capsys.readouterr()
        assert [0, 3, 3] == codes
        assert "the database is postgresql://127.0.0.1:1/fleet" in written.out
        assert "postgresql://127.0.0.1:1/fleet" in written.err
        assert PASSWORD not in written.out + written.err

    @pytest.mark.parametrize("wrong", [
        f"mysql://ada:{PASSWORD}@host/fleet", f"postgresql://ada:{PASSWORD}@host", f"ada {PASSWORD}",
        f"postgresql://ada:{PASSWORD}@host:port/fleet",
    ])  # fmt: skip
    def test_what_is_no_address_is_refused_without_it(self, wrong: str) -> None:
        """The message says what is expected."""
        with pytest.raises(ConfigError) as caught:
            postgresql.parsed(wrong)

        assert PASSWORD not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"

    @pytest.mark.parametrize("tables", [
        '[database]\nurl = "postgresql:///a"\nurl_file = "/b"', '[database]\nurl = "postgresql:///a"\nfile = "/b"',
        '[database]\nurl_file = "/does/not/exist"',
    ])  # fmt: skip
    def test_two_places_or_none_are_refused(self, tables: str) -> None:
        """One database, one name."""
        with pytest.raises(ConfigError):
            opening.database(decode(tables.encode()))

    def test_it_comes_from_the_environment(self) -> None:
        """As secrets of containers do."""
        config = decode(b"", {"RUNNER_DASHBOARD_DATABASE_URL": "postgresql://ada@/fleet?host=/run/postgresql"})

        assert "postgresql:///run/postgresql/fleet" == opening.place(config)

    @pytest.mark.parametrize("command", [["backup"], ["restore"]])
    def test_copies_are_the_business_of_its_own_tools(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: list[str]
    ) -> None:
        """They are named."""
        monkeypatch.setenv("RUNNER_DASHBOARD_DATABASE_URL", "postgresql:///fleet")

        assert main.run([*command, str(tmp_path / "copy")]) == 3
        assert "pg_dump" in capsys.readouterr().err

    def test_there_is_no_file(self, database: Database, tmp_path: Path) -> None:
        """Whoever asks for one is told so."""
        with pytest.raises(DatabaseError):
            _ = database.path
        with pytest.raises(DatabaseError, match="PostgreSQL"):
            database.backup(tmp_path / "copy")


class TestKept:
    """What PostgreSQL would not keep by itself."""

    def test_large_numbers_are_kept(self, address: str, tmp_path: Path, machine: Machine) -> None:
        """A counter has 53 bits, a time does not end in 2038."""
        with replicas(address, tmp_path, 1) as (dashboard,):
            dashboard.enrol(machine)
            dashboard.clock.now = 2**33
            report = replace(machine.passed(2**33), counter=2**53, started=2**33)
            assert dashboard.send(machine.sign(report)).status == 201
            assert dashboard.count("reports", f"counter = {2**53} AND received = {2**33}") == 1

    def test_nul_is_kept_as_what_cannot_be_shown(self, address: str, tmp_path: Path, machine: Machine) -> None:
        """A node that writes it is heard, and its envelope is kept as it came."""
        report = machine.altered(machine.passed(NOW), 3, "other bytes")
        (finding,) = report.findings
        body = machine.sign(replace(report, findings=(replace(finding, message="a\0b"),), node="run\0ner"))
        with replicas(address, tmp_path, 1) as (dashboard,):
            dashboard.enrol(machine)
            digest = dashboard.send(body).json["report"]
            (shown,) = dashboard.get(f"/api/v1/reports/{digest}").json["findings"]
            assert shown["message"] == "a\ufffdb"
            assert dashboard.get("/api/v1/nodes?text=run%00ner").json["total"] == 1
            assert body == dashboard.get(f"/api/v1/reports/{digest}/envelope").body

    def test_names_are_ordered_by_their_bytes(self, database: Database) -> None:
        """Whatever locale the server was made with: as SQLite orders them."""
        machines = [Machine(name, Release(1)) for name in ("b", "A", "a", "ä", "_", "B")]
        for machine in machines:
            database.write(lambda connection, machine=machine: enrolment.enrol_key(
                connection, NOW, key=machine.public_key, name=machine.name, by="test"
            ))  # fmt: skip
        with database.read() as connection:
            names = list(connection.execute(select(nodes.c.name).order_by(nodes.c.name)).scalars())

        assert ["A", "B", "_", "a", "b", "ä"] == names
