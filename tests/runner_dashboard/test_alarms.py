"""What operators are woken for: once when it begins, once when it ends, by a message that only we can have sent."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from runner_dashboard import config
from runner_dashboard.alarms.watch import Watch
from runner_dashboard.config import NotifyTable, ServerTable
from runner_dashboard.demo.machine import Machine, Release, finding
from runner_dashboard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "a secret of two services"  # noqa: S105 - of this test
SILENT = 172_800
DAY = 86_400


class Receiver:
    """Whoever is told: *answers* are given in turn, 204 when there are no more."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers), body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    @property
    def told(self) -> list[tuple[str, str, str]]:
        """What was told: what, of which kind, about whom."""
        documents = [json.loads(body) for _, body in self.got]
        return [(one["what"], one["alarm"]["kind"], one["alarm"]["name"]) for one in documents]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Give somebody who listens."""
    found = Receiver()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


@pytest.fixture
def watched(serve: Any, receiver: Receiver, tmp_path: Path) -> Iterator[Any]:
    """Give a dashboard that tells, and what looks once when it is called."""
    (tmp_path / "secret").write_text(f"{SECRET}\n")

    @contextmanager
    def begun() -> Iterator[tuple[Any, Any]]:
        url = f"http://127.0.0.1:{receiver.server.server_port}/hook?key=hidden"
        server = ServerTable(port=0, grace=5, public_url="http://localhost")
        with serve(server=server, notify=NotifyTable(url=url, secret_file=str(tmp_path / "secret"))) as dashboard:
            yield dashboard, Watch(dashboard.services).step

    with begun() as found:
        yield found


def report(dashboard: Any, machine: Machine, *, failed: bool = False) -> None:
    """Let a machine report that it is well, or that a path has other bytes."""
    said = machine.passed(dashboard.clock.now)
    if failed:
        said = replace(said, verdict="failed", findings=(finding("EV201", "other bytes", "/nix/store/x"),))
    assert dashboard.send(machine.sign(said)).status == 201


def enrolled(dashboard: Any, name: str = "runner-1") -> Machine:
    """Give a machine that is enrolled and has reported."""
    machine = Machine(name, Release(1))
    dashboard.enrol(machine)
    report(dashboard, machine)
    return machine


def test_a_silent_node_is_told_of_once_and_its_return_once(watched: Any, receiver: Receiver) -> None:
    """However often the dashboard looks meanwhile."""
    dashboard, look = watched
    machine = enrolled(dashboard)
    look()
    assert receiver.told == []
    dashboard.clock.now += SILENT
    look()
    look()
    assert receiver.told == [("began", "silent", "runner-1")]
    report(dashboard, machine)
    look()
    look()

    assert receiver.told[1:] == [("ended", "silent", "runner-1")]


def test_what_is_wrong_is_said_in_words(watched: Any) -> None:
    """Times as people read them, one finding as one."""
    dashboard, look = watched
    report(dashboard, enrolled(dashboard), failed=True)
    look()
    dashboard.clock.now += SILENT
    look()
    found = {one["kind"]: one["detail"] for one in dashboard.get("/api/v1/alarms").json["active"]}

    assert found == {"failed": "1 failing finding on boot-v1", "silent": "last heard 2026-09-21 14:13 UTC"}


def test_a_node_that_failed_is_told_of(watched: Any, receiver: Receiver) -> None:
    """Until it passes, or somebody knows of all that fails."""
    dashboard, look = watched
    machine = enrolled(dashboard)
    report(dashboard, machine, failed=True)
    look()
    known = {"code": "EV201", "owner": "storage", "reason": "disk", "days": 1}
    assert dashboard.post("/api/v1/acknowledgements", known).status == 201
    look()
    dashboard.clock.now += DAY
    look()
    report(dashboard, machine)
    look()

    assert receiver.told == [(what, "failed", "runner-1") for what in ("began", "ended", "began", "ended")]


def test_a_key_that_is_used_twice_is_told_of(watched: Any, receiver: Receiver) -> None:
    """A machine that was cloned."""
    dashboard, look = watched
    machine = enrolled(dashboard)
    first = machine.boot_id
    machine.boot()
    report(dashboard, machine)
    machine.boot_id = first
    report(dashboard, machine)
    look()

    assert ("began", "suspected", "runner-1") in receiver.told


def test_a_message_is_signed_and_says_where_to_look(watched: Any, receiver: Receiver) -> None:
    """Whoever has the secret can tell that it is ours, and when it was sent."""
    dashboard, look = watched
    report(dashboard, enrolled(dashboard), failed=True)
    look()
    ((headers, body),) = receiver.got
    stamp = headers["X-Runner-Dashboard-Timestamp"]
    expected = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    document = json.loads(body)

    assert headers["X-Runner-Dashboard-Signature"] == f"sha256={expected}"
    assert int(stamp) == dashboard.clock.now
    assert document["schema"] == "ec-runner.alarm.v1"
    assert document["link"] == f"http://localhost/nodes/{document['alarm']['node']}"


@pytest.mark.parametrize("answer", [500, 302, 429, 404])
def test_what_was_not_taken_is_tried_again_later(watched: Any, receiver: Receiver, answer: int) -> None:
    """Later and later, as the same delivery; a redirect is not followed with what is signed."""
    dashboard, look = watched
    report(dashboard, enrolled(dashboard), failed=True)
    receiver.answers = [answer, answer]
    times = []
    for _ in range(40):
        look()
        if len(receiver.got) > len(times):
            times.append(dashboard.clock.now)
        dashboard.clock.now += 1
    assert [later - sooner for sooner, later in pairwise(times)] == [10, 20]
    deliveries = {headers["X-Runner-Dashboard-Delivery"] for headers, _ in receiver.got}

    assert len(deliveries) == 1
    assert dashboard.services.counters.snapshot("notifications") == {
        (("outcome", "failed"),): 2.0, (("outcome", "sent"),): 1.0,
    }  # fmt: skip


def test_after_a_day_a_message_is_given_up(watched: Any, receiver: Receiver) -> None:
    """What is tried then is over; what is new is told."""
    dashboard, look = watched
    machine = enrolled(dashboard)
    report(dashboard, machine, failed=True)
    receiver.answers = [500] * 100
    look()
    dashboard.clock.now += DAY
    look()
    sent = len(receiver.got)
    dashboard.clock.now += DAY // 2
    look()

    assert len(receiver.got) == sent
    assert dashboard.count("deliveries", "sent_at IS NOT NULL AND error = 'answered 500'") == 1


def test_nobody_listens(watched: Any, receiver: Receiver, caplog: Any) -> None:
    """Nothing breaks, the alarm is there, and the address with its key is in no log."""
    dashboard, look = watched
    receiver.server.server_close()
    report(dashboard, enrolled(dashboard), failed=True)
    look()

    assert [one["kind"] for one in dashboard.get("/api/v1/alarms").json["active"]] == ["failed"]
    assert dashboard.count("deliveries", "error LIKE 'not reached%'") == 1
    assert "hidden" not in caplog.text


def test_two_dashboards_tell_once(watched: Any, receiver: Receiver) -> None:
    """What one is sending the other does not take."""
    dashboard, look = watched
    other = Watch(dashboard.services).step
    report(dashboard, enrolled(dashboard), failed=True)
    look()
    other()

    assert len(receiver.got) == 1
    assert dashboard.count("alarms") == 1


def test_without_a_receiver_alarms_are_kept_and_nothing_is_in_line(serve: Any) -> None:
    """They are on the page, and in the metrics."""
    with serve() as dashboard:
        report(dashboard, enrolled(dashboard), failed=True)
        Watch(dashboard.services).step()
        assert dashboard.count("deliveries") == 0
        assert 'runner_dashboard_alarms{kind="failed"} 1' in dashboard.get("/metrics").text
        assert "runner-1" in dashboard.get("/alarms").text
        assert "Nobody is told" in dashboard.get("/alarms").text


def test_a_retired_node_wakes_nobody(watched: Any, receiver: Receiver) -> None:
    """Its alarms end."""
    dashboard, look = watched
    report(dashboard, enrolled(dashboard), failed=True)
    look()
    (node,) = (one["id"] for one in dashboard.get("/api/v1/nodes").json["nodes"])
    assert dashboard.post(f"/api/v1/nodes/{node}/retire", {}).status == 200
    look()

    assert [what for what, _, _ in receiver.told] == ["began", "ended"]


def test_a_page_that_is_open_is_told(watched: Any) -> None:
    """As of every change."""
    dashboard, look = watched
    report(dashboard, enrolled(dashboard), failed=True)
    with dashboard.stream() as response:
        told = b""
        look()
        while b'"finding"' not in told:
            told = response.readline()
            assert told


def test_a_secret_that_is_too_short_is_refused(tmp_path: Path, serve: Any) -> None:
    """At the start; and a receiver without any is refused when the configuration is read."""
    (tmp_path / "secret").write_text("short\n")
    table = NotifyTable(url="https://alarms.example.org", secret_file=str(tmp_path / "secret"))
    with serve(notify=table) as dashboard, pytest.raises(ConfigError, match="16 characters"):
        Watch(dashboard.services)
    with pytest.raises(ConfigError, match="secret_file"):
        config.decode(b'[notify]\nurl = "https://alarms.example.org"')
    assert config.decode(b'[notify]\nurl = "http://a.example"\nsecret_file = "/s"').remarks()
