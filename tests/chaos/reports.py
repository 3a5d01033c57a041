"""Killing a dashboard at random moments while reports arrive, until so many were acknowledged; what is there then."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from runner_dashboard.data.database import Database
from runner_dashboard.demo.machine import Machine, Release
from runner_dashboard.fleet import enrolment

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

_SENDERS = 8
_LONGEST = 4.0
_MEDIA_TYPE = "application/vnd.dsse.envelope+json"
_CONFIG = """\
state_dir = "{directory}/state"
[server]
port = 0
[ingest]
reports_per_minute = 100000
burst = 100000
[log]
form = "json"
level = "info"
"""


class LostError(AssertionError):
    """A report that was acknowledged is not there, or something is there by half."""


@dataclass
class Tally:
    """What came of it. *repeated* were answered as known: the server was killed between its disk and its answer."""

    kills: int = 0
    acknowledged: int = 0
    repeated: int = 0
    cut: int = 0
    kept: int = 0

    def table(self) -> str:
        """Return the figures as Markdown."""
        return (
            "| reports acknowledged | kept | servers killed | requests cut | kept, answered when sent again |\n"
            "| ---: | ---: | ---: | ---: | ---: |\n"
            f"| {self.acknowledged} | {self.kept} | {self.kills} | {self.cut} | {self.repeated} |"
        )


@dataclass
class Server:
    """A server that is killed and started again; *port* is where it is now, while *up* is set."""

    config: Path
    port: int = 0
    up: threading.Event = field(default_factory=threading.Event)
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and wait until it serves. Raises `LostError` when it does not."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runner_dashboard", "serve", "--config", str(self.config)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]},
        )  # fmt: skip
        for line in self.process.stderr or ():
            event = json.loads(line)
            if event["event"] == "serving":
                self.port = int(event["address"].rpartition(":")[2])
                threading.Thread(target=self.process.stderr.read, daemon=True).start()  # type: ignore[union-attr]
                self.up.set()
                return
        raise LostError(f"it ended with {self.process.wait()}")

    def end(self, how: signal.Signals) -> None:
        """End it by a signal."""
        assert self.process is not None
        self.up.clear()
        with self.process:
            self.process.send_signal(how)


@dataclass
class Sender:
    """A node: sends a report until it is acknowledged, then the next one. *acknowledged* are digests."""

    machine: Machine
    server: Server
    over: threading.Event
    acknowledged: list[str] = field(default_factory=list)
    repeated: int = 0
    cut: int = 0

    def run(self) -> None:
        """Send until it is over."""
        now = int(time.time())
        envelope = self.machine.sign(self.machine.passed(now))
        while not self.over.is_set():
            self.server.up.wait()
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
            try:
                while not self.over.is_set():
                    connection.request("POST", "/api/v1/reports", body=envelope, headers={"Content-Type": _MEDIA_TYPE})
                    answer = connection.getresponse()
                    document: Any = json.loads(answer.read())
                    if answer.status not in (201, 208):
                        raise LostError(f"{answer.status}: {document}")
                    self.repeated += answer.status == 208
                    self.acknowledged.append(document["report"])
                    envelope = self.machine.sign(self.machine.passed(now))
            except (OSError, http.client.HTTPException):
                self.cut += 1
            finally:
                connection.close()


def main(directory: Path, reports: int, random: Random) -> str:
    """Kill servers until *reports* were acknowledged, and return the figures. Raises `LostError`."""
    config = directory / "dashboard.toml"
    config.write_text(_CONFIG.format(directory=directory))
    file = directory / "state" / "dashboard.sqlite"
    machines = [Machine(f"runner-{number}", Release(1)) for number in range(_SENDERS)]
    with Database(file) as database:
        database.migrate()
        for machine in machines:
            database.write(
                lambda connection, machine=machine: enrolment.enrol_key(  # type: ignore[misc]
                    connection, int(time.time()), key=machine.public_key, name=machine.name, by="chaos"
                )
            )
    server, over, tally = Server(config), threading.Event(), Tally()
    senders = [Sender(machine, server, over) for machine in machines]
    threads = [threading.Thread(target=sender.run) for sender in senders]
    server.start()
    for thread in threads:
        thread.start()
    try:
        while sum(len(sender.acknowledged) for sender in senders) < reports:
            time.sleep(random.uniform(0, _LONGEST))
            server.end(signal.SIGKILL)
            tally.kills += 1
            server.start()
            sys.stderr.write(f"{tally.kills} kills, {sum(len(one.acknowledged) for one in senders)} acknowledged\n")
    finally:
        over.set()
        for thread in threads:
            thread.join()
        server.end(signal.SIGTERM)
    digests = [digest for sender in senders for digest in sender.acknowledged]
    tally.acknowledged, tally.repeated = len(digests), sum(sender.repeated for sender in senders)
    tally.cut = sum(sender.cut for sender in senders)
    tally.kept = _looked(file, digests)
    return tally.table()


def _looked(file: Path, acknowledged: list[str]) -> int:
    """Return how many reports are there. Raises `LostError` for one that is not, or is there by half or twice."""
    with Database(file) as database, database.read() as connection:
        if connection.execute(text("PRAGMA integrity_check")).scalar_one() != "ok":
            raise LostError("the database is damaged")
        if connection.execute(text("PRAGMA foreign_key_check")).all():
            raise LostError("a row refers to none")
        kept = list(connection.execute(text("SELECT digest FROM reports")).scalars())
        whole = "SELECT count(*) FROM reports JOIN evidence ON report_id = reports.id"
        if connection.execute(text(whole)).scalar_one() != len(kept):
            raise LostError("a report has no evidence")
    if missing := set(acknowledged) - set(kept):
        raise LostError(f"{len(missing)} reports that were acknowledged are not there")
    if len(set(kept)) != len(kept) or len(set(acknowledged)) != len(acknowledged):
        raise LostError("a report is there twice")
    return len(kept)
