"""Events: told after the commit, in order, to everybody, from any number on."""

from __future__ import annotations

import asyncio
import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner_dashboard.events.bus import KEPT, Bus
from runner_dashboard.events.event import Event, Happening, emit
from runner_dashboard.fleet import enrolment

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from runner_dashboard.demo.machine import Machine

NOW = 1_790_000_000


def happening(number: int = 0) -> Happening:
    """Return something that happened to a node called by *number*."""
    return Happening("report", f"node-{number}", NOW)


async def taken(bus: Bus, count: int, last: int | None = None) -> list[Event]:
    """Return the next *count* events."""
    found: list[Event] = []
    with bus.subscribe(last) as events:
        while len(found) < count:
            found.append(await asyncio.wait_for(anext(events), 60))
    return found


class TestRing:
    """What is kept of the past."""

    def test_numbers_grow_from_where_they_begin(self) -> None:
        """By one each."""
        bus = Bus(100)
        bus.publish([happening(1), happening(2)])
        bus.publish([happening(3)])

        assert [101, 102, 103] == [one.id for one in bus.since(100)]

    def test_numbers_of_a_later_start_are_greater(self) -> None:
        """A browser that reconnects after a restart is behind, not ahead."""
        earlier = Bus()
        earlier.publish([happening()])

        assert earlier.newest < Bus().newest

    def test_who_is_up_to_date_is_told_nothing(self) -> None:
        """The newest number is where the future begins."""
        bus = Bus(100)
        bus.publish([happening()])

        assert bus.since(bus.newest) == []

    def test_who_is_too_far_behind_is_told_so(self) -> None:
        """What fell out of the ring is not silently passed over."""
        bus = Bus(100)
        bus.publish([happening(number) for number in range(KEPT + 1)])

        assert ["reset"] == [one.kind for one in bus.since(100)]
        assert bus.since(100)[0].id == bus.newest
        assert KEPT == len(bus.since(101))

    @pytest.mark.parametrize("number", [0, 99, 5000])
    def test_a_number_of_another_life_is_no_number(self, number: int) -> None:
        """Of before the start, or of the future: everything is loaded again."""
        bus = Bus(100)
        bus.publish([happening()])

        assert ["reset"] == [one.kind for one in bus.since(number)]

    def test_events_that_were_numbered_elsewhere_are_taken_once(self) -> None:
        """Whoever reads a table again may read a row again."""
        bus = Bus(4)
        rows = [Event(number, "node", "", NOW) for number in (5, 7, 8)]
        bus.take(rows)
        bus.take(rows)

        assert rows == bus.since(4)

    @given(st.lists(st.integers(0, 5)), st.integers(0, 40))
    def test_nothing_is_told_twice_or_not_at_all(self, sizes: list[int], last: int) -> None:
        """From any number that there was, exactly the events after it, in order."""
        bus = Bus(0)
        for size in sizes:
            bus.publish([happening() for _ in range(size)])

        told = bus.since(last)

        if last <= sum(sizes):
            assert list(range(last + 1, sum(sizes) + 1)) == [one.id for one in told]
        else:
            assert ["reset"] == [one.kind for one in told]


class TestSubscriptions:
    """Waiting for what comes."""

    def test_what_is_published_in_another_thread_arrives(self) -> None:
        """In order, while the loop sleeps."""

        async def run() -> list[Event]:
            bus = Bus(0)
            told = asyncio.create_task(taken(bus, 3, 0))
            await asyncio.sleep(0)
            thread = threading.Thread(target=lambda: [bus.publish([happening(number)]) for number in range(3)])
            thread.start()
            found = await told
            thread.join()
            return found

        assert [1, 2, 3] == [one.id for one in asyncio.run(run())]

    def test_a_reconnect_goes_on_where_it_ended(self) -> None:
        """With the number of the last event."""

        async def run() -> tuple[list[Event], list[Event]]:
            bus = Bus(0)
            bus.publish([happening(number) for number in range(4)])
            first = await taken(bus, 2, 0)
            return first, await taken(bus, 2, first[-1].id)

        first, second = asyncio.run(run())
        assert [1, 2, 3, 4] == [one.id for one in (*first, *second)]

    def test_without_a_number_the_past_is_not_told(self) -> None:
        """A page that was just loaded knows it."""

        async def run() -> list[Event]:
            bus = Bus(0)
            bus.publish([happening(1)])
            told = asyncio.create_task(taken(bus, 1))
            await asyncio.sleep(0)
            bus.publish([happening(2)])
            return await told

        assert ["node-2"] == [one.node for one in asyncio.run(run())]

    def test_the_end_of_the_bus_ends_them(self) -> None:
        """No stop waits for a browser that listens."""

        async def run() -> tuple[list[Event], int]:
            bus = Bus(0)

            async def listen() -> list[Event]:
                with bus.subscribe() as events:
                    return [one async for one in events]

            told = asyncio.create_task(listen())
            await asyncio.sleep(0)
            bus.publish([happening()])
            await asyncio.sleep(0)
            bus.close()
            return await told, bus.watching

        told, watching = asyncio.run(run())
        assert [1] == [one.id for one in told]
        assert 0 == watching

    def test_who_went_away_disturbs_nobody(self) -> None:
        """Not even when its event loop is closed."""
        bus = Bus(0)

        async def run() -> None:
            bus.subscribe()

        asyncio.run(run())
        bus.publish([happening()])

        assert bus.newest == 1


class TestTold:
    """What the dashboard tells."""

    def until(self, dashboard: Any, last: int, word: str) -> list[Event]:
        """Let an event happen that *word* tells apart from all others, and return those after *last* up to it."""
        database = dashboard.services.database

        async def read() -> list[Event]:
            found: list[Event] = []
            with database.bus.subscribe(last) as events:
                database.write(lambda connection: emit(connection, "runner", word, NOW))
                while not found or found[-1].node != word:
                    found.append(await asyncio.wait_for(anext(events), 60))
            return found

        return asyncio.run(read())

    def begun(self, dashboard: Any) -> int:
        """Return the number of an event before which everything is told that was committed."""
        return self.until(dashboard, dashboard.services.bus.newest, str(uuid.uuid4()))[-1].id

    def told(self, dashboard: Any, last: int) -> list[tuple[str, str]]:
        """Return the kinds and nodes of events after *last* that were committed before this."""
        return [(one.kind, one.node) for one in self.until(dashboard, last, str(uuid.uuid4())) if one.kind != "runner"]

    def test_a_report_is_told_once_it_is_kept(self, dashboard: Any, machine: Machine) -> None:
        """And that it has findings; not again when it is sent again."""
        dashboard.enrol(machine)
        last = self.begun(dashboard)
        envelope = machine.sign(machine.altered(machine.passed(NOW), 3, "other bytes"))
        node = dashboard.send(envelope).json["node"]
        dashboard.send(envelope)

        assert [("report", node), ("finding", node)] == self.told(dashboard, last)

    def test_a_node_that_appears_and_is_decided_about_is_told(self, dashboard: Any, machine: Machine) -> None:
        """From its first refused report to its end."""
        last = self.begun(dashboard)
        dashboard.send(machine.sign(machine.passed(NOW)))
        (node,) = {node for _, node in self.told(dashboard, last)}
        for what in ("approve", "retire"):
            assert dashboard.post(f"/api/v1/nodes/{node}/{what}", {}).status == 200

        assert ["enrolment", "node", "enrolment", "node"] == [kind for kind, _ in self.told(dashboard, last)]

    def test_a_one_time_token_is_told(self, dashboard: Any) -> None:
        """Made and revoked."""
        last = self.begun(dashboard)
        ticket = dashboard.post("/api/v1/enrolments", {}).json["id"]
        dashboard.post(f"/api/v1/enrolments/{ticket}/revoke", {})

        assert [("enrolment", "")] * 2 == self.told(dashboard, last)

    def test_what_is_undone_is_not_told(self, dashboard: Any) -> None:
        """What went well beside it is."""
        database = dashboard.services.database
        last = self.begun(dashboard)

        def fail(connection: Connection) -> None:
            emit(connection, "node", "undone", NOW)
            raise ValueError("a mistake")

        futures = [
            database.writer.submit(lambda connection: emit(connection, "node", "first", NOW)),
            database.writer.submit(fail),
            database.writer.submit(lambda connection: emit(connection, "node", "last", NOW)),
        ]
        futures[2].result()
        with pytest.raises(ValueError, match="a mistake"):
            futures[1].result()

        assert {("node", "first"), ("node", "last")} == set(self.told(dashboard, last))

    def test_what_is_told_can_be_read(self, dashboard: Any, machine: Machine) -> None:
        """Before anybody hears of an event, its transaction is committed."""
        database = dashboard.services.database
        last = self.begun(dashboard)

        async def read() -> list[tuple[str, int]]:
            with database.bus.subscribe(last) as events:
                writing = asyncio.create_task(
                    asyncio.to_thread(
                        database.write,
                        lambda connection: enrolment.enrol_key(
                            connection, NOW, key=machine.public_key, name="one", by="test"
                        ),
                    )
                )
                event = await asyncio.wait_for(anext(events), 60)
                found = [(event.kind, dashboard.count("nodes", "state = 'enrolled'"))]
                await writing
            return found

        assert asyncio.run(read()) == [("enrolment", 1)]
