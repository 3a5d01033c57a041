"""Retention: what is old goes, what somebody relies on stays, and numbers by day outlive the reports."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace
from sqlalchemy import insert, select, text

from runner_dashboard.config import Config, RetentionTable
from runner_dashboard.data import opening
from runner_dashboard.data.database import Database
from runner_dashboard.data.tables import acknowledgements, evidence, findings, forgotten, nodes, reports
from runner_dashboard.demo.machine import Machine, Release
from runner_dashboard.fleet import acknowledging, enrolment
from runner_dashboard.ingest import rows, store
from runner_dashboard.ingest.envelope import Signed
from runner_dashboard.ingest.store import Arrival
from runner_dashboard.retention import daily
from runner_dashboard.retention.compact import compact
from runner_dashboard.retention.keeper import Keeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ec_closure.report import Report
    from runner_dashboard.config import DatabaseTable

NOW = 1_790_000_000 // 86_400 * 86_400
DAY = 86_400
AGES = RetentionTable(reports=40, evidence=10, findings=5, audit=30)
CONFIG = Config(retention=AGES)


@pytest.fixture
def database(storage: DatabaseTable, tmp_path: Path) -> Iterator[Database]:
    """Give a database with this version's schema, of either kind."""
    with opening.database(Config(state_dir=str(tmp_path / "state"), database=storage)) as made:
        made.migrate()
        yield made


def enrolled(database: Database, machine: Machine, now: int = NOW) -> str:
    """Enrol a machine, and return its identifier."""
    return database.write(
        lambda connection: enrolment.enrol_key(connection, now, key=machine.public_key, name=machine.name, by="test")
    )


def arrived(database: Database, machine: Machine, report: Report, now: int) -> tuple[str, str]:
    """Let a report arrive as if its signature had been looked at; return the answer and its digest."""
    payload = repr(report).encode()
    arrival = Arrival(Signed(machine.public_key, payload), report, rows.prepared(report, payload), "", "late", 0)
    return database.write(lambda connection: store.keep(connection, now, arrival)), hashlib.sha256(payload).hexdigest()


def altered(machine: Machine, report: Report) -> Report:
    """Return *report* with a finding EV201."""
    return machine.altered(report, 3, "other bytes")


def digests(database: Database, table: Any = None) -> set[str]:
    """Return the digests of reports that are there, those alone that have rows in *table*."""
    query = select(reports.c.digest)
    if table is not None:
        query = query.join(table, table.c.report_id == reports.c.id)
    with database.read() as connection:
        return set(connection.execute(query).scalars())


class TestRule:
    """What goes and what stays."""

    def test_parts_of_a_report_go_by_their_ages_and_its_digest_stays(self, database: Database) -> None:
        """First findings, then evidence, then the report; it is never taken again."""
        machine = Machine("one", Release(1))
        enrolled(database, machine)
        old = altered(machine, machine.passed(NOW))
        _, digest = arrived(database, machine, old, NOW)
        arrived(database, machine, machine.passed(NOW), NOW)
        seen = []
        for days in (5, 6, 10, 11, 40, 41):
            compact(database, CONFIG, NOW + days * DAY)
            seen.append([digest in digests(database, table) for table in (findings, evidence, None)])

        assert [
            [True, True, True], [False, True, True], [False, True, True], [False, False, True], [False, False, True],
            [False, False, False],
        ] == seen  # fmt: skip
        assert arrived(database, machine, old, NOW + 42 * DAY) == ("known", digest)

    def test_the_last_verdict_of_a_node_stays(self, database: Database) -> None:
        """However long it has been silent, with all that it rests on."""
        machine = Machine("one", Release(1))
        enrolled(database, machine)
        _, digest = arrived(database, machine, altered(machine, machine.passed(NOW)), NOW)
        compact(database, CONFIG, NOW + 10_000 * DAY)

        assert {digest} == digests(database) == digests(database, evidence) == digests(database, findings)

    def test_the_newest_of_each_release_stays(self, database: Database) -> None:
        """By its counter, not by when it came."""
        machine = Machine("one", Release(1))
        enrolled(database, machine)
        kept = set()
        for version in (1, 2, 3):
            machine.release = Release(version)
            first, second = machine.passed(NOW), machine.passed(NOW)
            kept.add(arrived(database, machine, second, NOW)[1])
            arrived(database, machine, first, NOW)
        compact(database, CONFIG, NOW + 1000 * DAY)

        assert kept == digests(database) == digests(database, evidence)

    @pytest.mark.parametrize(("node", "path", "stays"), [
        ("", "", True), ("own", "", True), ("own", "own", True), ("own", "other", False), ("other", "", False),
    ])  # fmt: skip
    def test_what_is_acknowledged_stays_until_that_ends(
        self, database: Database, node: str, path: str, stays: object
    ) -> None:
        """As far as the acknowledgement reaches."""
        machine, other = Machine("one", Release(1)), Machine("two", Release(1))
        own = {"own": enrolled(database, machine), "other": enrolled(database, other), "": ""}
        report = altered(machine, machine.passed(NOW))
        paths = {"own": report.findings[0].path or "", "other": "/nix/store/other", "": ""}
        _, digest = arrived(database, machine, report, NOW)
        arrived(database, machine, machine.passed(NOW), NOW)
        database.write(lambda connection: acknowledging.create(
            connection, NOW, code="EV201", node=own[node], path=paths[path], owner="ops", reason="known",
            lifetime=100 * DAY, by="test",
        ))  # fmt: skip
        compact(database, CONFIG, NOW + 99 * DAY)
        assert (digest in digests(database, findings)) is stays
        assert (digest in digests(database, evidence)) is stays

        compact(database, CONFIG, NOW + 101 * DAY)
        assert digest not in digests(database)

    def test_nothing_goes_where_nothing_is_configured(self, database: Database) -> None:
        """0 is for ever."""
        machine = Machine("one", Release(1))
        enrolled(database, machine)
        for _ in range(3):
            arrived(database, machine, machine.passed(NOW), NOW)
        removed = compact(
            database, Config(retention=RetentionTable(reports=0, evidence=0, findings=0, audit=0)), NOW + 10_000 * DAY
        )

        assert {} == removed.rows
        assert 3 == len(digests(database, evidence))

    def test_a_report_is_kept_while_its_nonce_can_come_back(self, database: Database) -> None:
        """Whatever is configured: the nonce would count as unused."""
        machine = Machine("one", Release(1))
        enrolled(database, machine)
        nonce = "n" * 80
        arrived(database, machine, replace(machine.passed(NOW), nonce=nonce), NOW)
        arrived(database, machine, machine.passed(NOW), NOW)
        config = Config(retention=RetentionTable(reports=1))
        compact(database, config, NOW + config.ingest.nonce_lifetime)
        assert 2 == len(digests(database))

        compact(database, config, NOW + config.ingest.nonce_lifetime + 1)
        assert 1 == len(digests(database))

    def test_many_reports_go_in_many_transactions(self, database: Database) -> None:
        """And a stop between two of them loses nothing."""
        machine = Machine("one", Release(1))
        enrolled(database, machine)
        for _ in range(450):
            arrived(database, machine, machine.passed(NOW), NOW)
        asked = iter([False] * 4 + [True] * 100)
        first = compact(database, CONFIG, NOW + 100 * DAY, lambda: next(asked))
        rest = compact(database, CONFIG, NOW + 100 * DAY)

        assert 0 < sum(first.rows.values())
        assert 449 == first.rows.get("reports", 0) + rest.rows["reports"]
        assert 449 == first.rows.get("evidence", 0) + rest.rows["evidence"]
        with database.read() as connection:
            assert 449 == len(connection.execute(select(forgotten)).all())

    def test_the_audit_goes_too_and_says_so(self, database: Database) -> None:
        """What went is written down where it went from."""
        enrolled(database, Machine("one", Release(1)))
        removed = compact(database, CONFIG, NOW + 31 * DAY)

        assert removed.rows["audit"] >= 2
        with database.read() as connection:
            (row,) = connection.execute(text("SELECT actor, action, detail FROM audit"))
        assert ("retention", "retention.compact", f"{removed.rows['audit']} of audit") == tuple(row)


class TestDays:
    """Numbers by day."""

    def test_they_outlive_the_reports(self, database: Database) -> None:
        """Of each node the last report of the day counts, and of each path what it said."""
        machines = [Machine(f"runner-{number}", Release(1)) for number in range(3)]
        for machine in machines:
            enrolled(database, machine)
        for machine in machines[:2]:
            arrived(database, machine, machine.passed(NOW), NOW + 10)
        arrived(database, machines[0], altered(machines[0], machines[0].passed(NOW)), NOW + 20)
        machines[2].release = Release(2)
        arrived(database, machines[2], machines[2].passed(NOW), NOW + DAY - 1)
        for machine in machines:
            arrived(database, machine, machine.passed(NOW), NOW + DAY)
        compact(database, CONFIG, NOW + 100 * DAY)
        with database.read() as connection:
            first = [one for one in daily.series(connection, NOW) if one.day == NOW]
            assert [] == daily.of_day(connection, NOW - DAY)

        size = len(Release(1).paths)
        assert [
            ("boot-v1", "failed", 1, {"corrupt": 1, "matches": size - 1}), ("boot-v1", "passed", 1, {"rebuilt": size}),
            ("boot-v2", "passed", 1, {"rebuilt": size}),
        ] == [(one.tag, one.verdict, one.nodes, one.paths) for one in first]  # fmt: skip

    def test_a_day_is_summed_up_once_it_is_over(self, database: Database) -> None:
        """Days without reports are none, and nothing is summed up twice."""
        machine = Machine("one", Release(1))
        enrolled(database, machine)
        for day in (0, 1, 4):
            arrived(database, machine, machine.passed(NOW), NOW + day * DAY)

        assert 2 == daily.sum_up(database, NOW + 4 * DAY + 10)
        assert 0 == daily.sum_up(database, NOW + 5 * DAY - 1)
        assert 1 == daily.sum_up(database, NOW + 5 * DAY)
        with database.read() as connection:
            assert [NOW, NOW + DAY, NOW + 4 * DAY] == [one.day for one in daily.series(connection, 0)]
            assert [NOW + 4 * DAY] == [one.day for one in daily.series(connection, NOW + 2 * DAY)]


def test_it_runs_in_the_background_and_is_counted(serve: Callable[..., Any], machine: Machine) -> None:
    """What went is in the metrics; what was removed is said to be, where it is asked for."""
    with serve(retention=AGES) as dashboard:
        dashboard.enrol(machine)
        digest = dashboard.send(machine.sign(altered(machine, machine.passed(NOW)))).json["report"]
        dashboard.send(machine.sign(machine.passed(NOW)))
        dashboard.clock.now += 20 * DAY
        keeper = Keeper(dashboard.services)
        keeper.once()
        with keeper:
            metrics = dashboard.get("/metrics").text
        answer = dashboard.get(f"/api/v1/reports/{digest}/envelope")

    assert 'runner_dashboard_compactions_total{outcome="done"} 1\n' in metrics
    assert 'runner_dashboard_compacted_rows_total{table="evidence"} 1\n' in metrics
    assert (answer.status, "was removed" in answer.json["error"]) == (404, True)


def test_one_server_compacts_at_a_time(cluster: Any) -> None:
    """The other finds that out, and leaves it."""
    from runner_dashboard.data import postgresql
    from runner_dashboard.data.backend import exclusively

    address = cluster.create()
    with Database(postgresql.parsed(address)) as database, Database(postgresql.parsed(address)) as other:
        machine = Machine("one", Release(1))
        enrolled(database, machine)
        for _ in range(2):
            arrived(database, machine, machine.passed(NOW), NOW)
        daily.sum_up(database, NOW + 100 * DAY)

        def meanwhile(connection: Any) -> bool:
            exclusively(connection, "compaction")
            return compact(other, CONFIG, NOW + 100 * DAY).elsewhere

        assert database.write(meanwhile)
        assert 2 == len(digests(database))
    cluster.drop(address)


class Retained(RuleBasedStateMachine):
    """Reports arrive in any order, are acknowledged, age, and are compacted; a model says what has to be there."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.room = Path(tempfile.mkdtemp(prefix="retention."))
        self.machines = [Machine(f"runner-{number}", Release(1)) for number in range(2)]
        # Per report: digest, node, tag, counter, when, whether it has a finding
        self.taken: list[tuple[str, str, str, int, int, bool]] = []
        self.held: list[tuple[str, int]] = []
        # Reports whose findings went by their age: nobody can acknowledge these any more.
        self.lost: set[str] = set()
        self.sent: list[tuple[Machine, Report]] = []

    @initialize()
    def begin(self) -> None:
        """Make the database."""
        self.database = Database(self.room / "dashboard.sqlite")
        self.database.migrate()
        self.ids = [enrolled(self.database, machine) for machine in self.machines]

    @rule(who=st.integers(0, 1), version=st.integers(1, 2), counter=st.integers(1, 12), bad=st.booleans())
    def report(self, who: int, version: int, counter: int, bad: bool) -> None:  # noqa: FBT001 - drawn
        """Let a report arrive, perhaps later than newer ones."""
        machine = self.machines[who]
        machine.release = Release(version)
        made = replace(machine.passed(self.now), counter=counter)
        made = altered(machine, made) if bad else made
        answer, digest = arrived(self.database, machine, made, self.now)
        if answer == "accepted":
            self.taken.append((digest, self.ids[who], machine.release.tag, counter, self.now, bad))
            self.sent.append((machine, made))

    @rule(who=st.sampled_from([0, 1, None]), lifetime=st.integers(1, 60))
    def acknowledge(self, who: int | None, lifetime: int) -> None:
        """Somebody says that a finding is known."""
        node = "" if who is None else self.ids[who]
        row = {
            "id": str(len(self.held)), "code": "EV201", "node": node, "path": "", "owner": "ops", "reason": "known",
            "made_by": "test", "made_at": self.now, "expires_at": self.now + lifetime * DAY,
        }  # fmt: skip
        self.database.write(lambda connection: connection.execute(insert(acknowledgements), row))
        self.held.append((node, self.now + lifetime * DAY))

    @rule(days=st.integers(1, 30))
    def wait(self, days: int) -> None:
        """Time passes."""
        self.now += days * DAY

    @rule()
    def compact(self) -> None:
        """Remove what may go: all of it goes."""
        bad = {digest for digest, *_, wrong in self.taken if wrong}
        self.lost |= bad - self.needed() - self.younger(AGES.findings)
        compact(self.database, CONFIG, self.now)
        for table, age in ((findings, AGES.findings), (evidence, AGES.evidence), (None, AGES.reports)):
            assert digests(self.database, table) <= self.needed() | self.younger(age)

    @rule()
    def replay(self) -> None:
        """Everything is sent again, and nothing is taken again."""
        for machine, made in self.sent:
            assert arrived(self.database, machine, made, self.now)[0] == "known"

    @invariant()
    def what_is_needed_is_there(self) -> None:
        """With its envelope, and its findings where it has some; so is all that is young enough."""
        if not hasattr(self, "ids"):
            return
        bad = {digest for digest, *_, wrong in self.taken if wrong}
        needed = self.needed()
        assert needed | self.younger(AGES.reports) <= digests(self.database)
        assert needed | self.younger(AGES.evidence) <= digests(self.database, evidence)
        assert bad & (needed | self.younger(AGES.findings)) <= digests(self.database, findings)
        with self.database.read() as connection:
            verdicts = select(nodes.c.id).join(reports, reports.c.id == nodes.c.current_report)
            assert {node for _, node, *_ in self.taken} == set(connection.execute(verdicts).scalars())

    def needed(self) -> set[str]:
        """Return the digests of what is never removed, as the documentation says it."""
        found = set()
        for digest, node, tag, counter, _, bad in self.taken:
            mine = [one for one in self.taken if one[1] == node]
            at = self.taken.index((digest, node, tag, counter, _, bad))
            later = [one for one in mine if (one[3], self.taken.index(one)) > (counter, at)]
            last = not later
            newest = not [one for one in later if one[2] == tag]
            held = (
                bad
                and digest not in self.lost
                and any(who in ("", node) and until > self.now for who, until in self.held)
            )
            if last or newest or held:
                found.add(digest)
        return found

    def younger(self, days: int) -> set[str]:
        """Return the digests of what came at most *days* ago."""
        return {one[0] for one in self.taken if one[4] >= self.now - days * DAY}

    def teardown(self) -> None:
        """Remove the database."""
        if hasattr(self, "database"):
            self.database.close()
        shutil.rmtree(self.room)


TestRetained = Retained.TestCase
TestRetained.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
