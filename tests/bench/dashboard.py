"""`python -m tests.bench.dashboard [OPTIONS]`: a dashboard under load.

A database as a large fleet leaves it behind (`tests.bench.fleet`) is made, unless the directory has one: SQLite's, or
that of a PostgreSQL server of our own (`--postgresql`), which keeps what it committed and uses the same processors. A
server of its own process is sent signed reports of 1,500 paths and 20 findings over kept connections, as fast as it
answers or as often as is said; meanwhile somebody loads pages. Told are reports a second, times of pages, memory and
processor time of the server. Signing is not part of it.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.fleet import PATHS, Fixed, Fleet, fill, troubled
from tests.bench.harness import quantile, spent
from tests.runner_dashboard.cluster import PROGRAMS, Cluster

from runner_dashboard.data.database import Database
from runner_dashboard.data.postgresql import parsed
from runner_dashboard.demo.machine import Machine
from runner_dashboard.fleet import enrolment
from runner_dashboard.identity import tokens
from runner_dashboard.identity.roles import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL

MEDIA_TYPE = "application/vnd.dsse.envelope+json"
MACHINES = 500
SENDERS = 16
PAGES = ("/", "/nodes", "/nodes?sort=trouble", "/nodes?text=runner-0999", "/metrics")
_PAUSE = 0.05
_MIB = 1 << 20


@dataclass
class Told:
    """What came of a run."""

    statuses: list[int] = field(default_factory=list)
    reports: list[float] = field(default_factory=list)
    pages: dict[str, list[float]] = field(default_factory=dict)


def send(port: int, bodies: Iterator[bytes], told: Told, until: float, every: float) -> None:
    """Send reports over one connection until they end, or the time does; at most one in *every* seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    due = time.monotonic()
    for body in bodies:
        began = time.monotonic()
        if began >= until:
            break
        due = max(due + every, began - 1)
        if due > began:
            time.sleep(due - began)
            began = time.monotonic()
        connection.request("POST", "/api/v1/reports", body, {"Content-Type": MEDIA_TYPE})
        answer = connection.getresponse()
        answer.read()
        told.reports.append(time.monotonic() - began)
        told.statuses.append(answer.status)
    connection.close()


def look(port: int, token: str, told: Told, ended: threading.Event) -> None:
    """Load pages, one after the other, as somebody does who looks around."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for page in itertools.cycle(PAGES):
        if ended.wait(_PAUSE):
            break
        began = time.monotonic()
        connection.request("GET", page, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{page} was answered {answer.status}")
        told.pages.setdefault(page, []).append(time.monotonic() - began)
    connection.close()


@contextmanager
def server(directory: Path, where: Path | URL) -> Iterator[tuple[int, int]]:
    """Start a server on the database *where*, and give its port and its process."""
    config = directory / "dashboard.toml"
    lines = [f'state_dir = "{directory}"', "[server]\nport = 0", '[log]\nform = "json"\nlevel = "info"']
    lines.append("[ingest]\nreports_per_minute = 100000\nburst = 100000")
    if not isinstance(where, Path):
        lines.append(f'[database]\nurl = "{where.set(drivername="postgresql").render_as_string(hide_password=False)}"')
    config.write_text("\n".join(lines) + "\n")
    with subprocess.Popen(
        [sys.executable, "-m", "runner_dashboard", "serve", "--config", str(config)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            for line in process.stderr or ():
                event = json.loads(line)
                if event["event"] == "serving":
                    break
            else:
                raise RuntimeError("the server ended")
            rest = threading.Thread(target=lambda: list(process.stderr or ()))
            rest.start()
            yield int(event["address"].rpartition(":")[2]), process.pid
        finally:
            process.send_signal(signal.SIGTERM)
        rest.join()


def _status(process: int, name: str) -> int:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return int(lines[name].split()[0]) * 1024


@contextmanager
def database(directory: Path, *, postgresql: bool) -> Iterator[Path | URL]:
    """Give the place of a database that this process may use."""
    if not postgresql:
        yield directory / "dashboard.sqlite"
        return
    # As Debian starts it, not as the tests do: what it commits is on the disk.
    cluster = Cluster(PROGRAMS[0], {"shared_buffers": "128MB"})
    try:
        yield parsed(cluster.create())
    finally:
        cluster.close()


def prepared(where: Path | URL, nodes: int, reports: int) -> tuple[list[Machine], str]:
    """Return machines that may report to the database *where*, which is made if it is not there, and a token."""
    machines = [Machine(f"sender-{number:03}", Fixed(5, PATHS)) for number in range(MACHINES)]
    if not isinstance(where, Path) or not where.exists():
        began = time.monotonic()
        fill(where, Fleet(nodes, reports // nodes, []), int(time.time()))
        with Database(where) as filled:
            sys.stdout.write(f"made in {time.monotonic() - began:.0f} s: {filled.size() / _MIB:.0f} MiB\n")
    now = int(time.time())
    with Database(where) as database:
        database.migrate()
        for machine in machines:
            database.write(
                lambda connection, machine=machine: enrolment.enrol_key(  # type: ignore[misc]
                    connection, now, key=machine.public_key, name=machine.name, by="bench"
                )
            )
        made = database.write(
            lambda connection: tokens.create(connection, now, name="bench", role=Role.ADMIN, by="bench")
        )
    return machines, made.render()


def run(directory: Path, where: Path | URL, nodes: int, reports: int, seconds: float, count: int, rate: float) -> str:
    """Measure, and return a table in Markdown."""
    machines, token = prepared(where, nodes, reports)
    now = int(time.time())
    bodies = [one.sign(troubled(one, now)) for one in itertools.islice(itertools.cycle(machines), count)]
    told, ended, lock = Told(), threading.Event(), threading.Lock()
    source = iter(bodies)

    def following() -> Iterator[bytes]:
        while True:
            with lock:
                body = next(source, None)
            if body is None:
                return
            yield body

    with server(directory, where) as (port, process):
        until = time.monotonic() + seconds
        every = SENDERS / rate if rate else 0.0
        looking = threading.Thread(target=look, args=(port, token, told, ended))
        threads = [threading.Thread(target=send, args=(port, following(), told, until, every)) for _ in range(SENDERS)]
        began, busy, load = time.monotonic(), spent(process), os.getloadavg()[0]
        for thread in (looking, *threads):
            thread.start()
        for thread in threads:
            thread.join()
        took, busy = time.monotonic() - began, spent(process) - busy
        ended.set()
        looking.join()
        memory = _status(process, "VmHWM")
    taken = told.statuses.count(201)
    lines = [
        f"### {reports} stored reports of {nodes} nodes, envelopes of {len(bodies[0])} bytes",
        "",
        f"{taken} reports in {took:.1f} s: **{taken / took:.0f} a second**; a report median "
        f"{statistics.median(told.reports) * 1000:.0f} ms, 95 % {quantile(told.reports, 0.95):.0f} ms. Processor time "
        f"{busy / took:.2f} of a processor, {busy / max(taken, 1) * 1000:.2f} ms a report, pages included. Memory at "
        f"most {memory / _MIB:.0f} MiB. Load of the machine {load:.1f} before, {os.getloadavg()[0]:.1f} after, on "
        f"{os.cpu_count()} processors. Other answers: {len(told.statuses) - taken}.",
        "",
        "| page, while reports arrive | loads | median ms | 95 % ms |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| `{page}` | {len(times)} | {statistics.median(times) * 1000:.0f} | {quantile(times, 0.95):.0f} |"
        for page, times in told.pages.items()
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.dashboard", description=__doc__)
    parser.add_argument("--postgresql", action="store_true", help="on a PostgreSQL server of its own")
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--reports", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--send", type=int, default=12_000, help="how many reports are signed beforehand [12000]")
    parser.add_argument("--rate", type=float, default=0, help="reports a second [as many as are taken]")
    parser.add_argument("--directory", type=Path, help="where the database is, or is to be; it stays")
    options = parser.parse_args()
    room = nullcontext(str(options.directory)) if options.directory else tempfile.TemporaryDirectory(prefix="ec-bench-")
    with room as name:
        directory = Path(name)
        directory.mkdir(parents=True, exist_ok=True)
        with database(directory, postgresql=options.postgresql) as where:
            sys.stdout.write(
                run(directory, where, options.nodes, options.reports, options.seconds, options.send, options.rate)
            )


if __name__ == "__main__":
    main()
