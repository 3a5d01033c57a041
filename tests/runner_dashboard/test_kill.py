"""Killed while reports arrive: every report that was acknowledged is there, and no half of another."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from runner_dashboard.data.database import Database
from runner_dashboard.demo.machine import Machine, Release
from runner_dashboard.fleet import enrolment

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_790_000_000
SENDERS = 4
MEDIA_TYPE = "application/vnd.dsse.envelope+json"


@dataclass
class Sender:
    """A machine that sends one report after another until nobody answers; *acknowledged* are digests."""

    port: int
    machine: Machine
    stop_after: threading.Semaphore
    acknowledged: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Send."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            while True:
                body = self.machine.sign(self.machine.passed(NOW))
                connection.request("POST", "/api/v1/reports", body=body, headers={"Content-Type": MEDIA_TYPE})
                answer = connection.getresponse()
                document: Any = json.loads(answer.read())
                assert answer.status == 201
                self.acknowledged.append(document["report"])
                self.stop_after.release()
        except (OSError, http.client.HTTPException):
            return  # it was killed
        finally:
            connection.close()


def start(config: Path) -> tuple[subprocess.Popen[str], int]:
    """Start a server and return it with its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "runner_dashboard", "serve", "--config", str(config)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    for line in process.stderr or ():
        event = json.loads(line)
        if event["event"] == "serving":
            return process, int(event["address"].rpartition(":")[2])
    pytest.fail(f"it ended with {process.wait()}")


@pytest.mark.parametrize("moment", [1, 7, 30, 90])
def test_what_was_acknowledged_is_on_the_disk(tmp_path: Path, moment: int) -> None:
    """After so many acknowledgements the server is killed; then it starts again, and its database is whole."""
    config = tmp_path / "dashboard.toml"
    config.write_text(f'state_dir = "{tmp_path}/state"\n[server]\nport = 0\n[log]\nform = "json"\nlevel = "info"\n')
    machines = [Machine(f"runner-{number}", Release(1)) for number in range(SENDERS)]
    with Database(tmp_path / "state" / "dashboard.sqlite") as database:
        database.migrate()
        for machine in machines:
            database.write(
                lambda connection, machine=machine: enrolment.enrol_key(  # type: ignore[misc]
                    connection, NOW, key=machine.public_key, name=machine.name, by="test"
                )
            )
    process, port = start(config)
    arrived = threading.Semaphore(0)
    senders = [Sender(port, machine, arrived) for machine in machines]
    threads = [threading.Thread(target=sender.run) for sender in senders]
    with process:
        for thread in threads:
            thread.start()
        for _ in range(moment):
            assert arrived.acquire(timeout=60)
        process.send_signal(signal.SIGKILL)
    for thread in threads:
        thread.join()
    acknowledged = {digest for sender in senders for digest in sender.acknowledged}
    assert len(acknowledged) >= moment

    process, _ = start(config)
    with process:
        process.terminate()
        process.communicate(timeout=60)
    with Database(tmp_path / "state" / "dashboard.sqlite") as database, database.read() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
        kept = set(connection.execute(text("SELECT digest FROM reports")).scalars())
        whole = "SELECT count(*) FROM reports JOIN evidence ON report_id = reports.id"
        assert len(kept) == connection.execute(text(whole)).scalar_one()
        newest = "SELECT count(*) FROM nodes JOIN reports ON reports.id = current_report WHERE nodes.counter = ("
        newest += "SELECT max(counter) FROM reports WHERE node_id = nodes.id)"
        reported = connection.execute(text("SELECT count(DISTINCT node_id) FROM reports")).scalar_one()
        assert reported == connection.execute(text(newest)).scalar_one()
    assert acknowledged <= kept
