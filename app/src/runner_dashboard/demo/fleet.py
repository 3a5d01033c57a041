"""A fleet that does not exist: machines with a past, some of them with something wrong.

Keys, signatures and the way of a report through the dashboard are real. What the reports say is made up, the same every
time.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from runner_dashboard.demo.machine import Machine, Release, finding
from runner_dashboard.fleet import enrolment, manifests
from runner_dashboard.ingest.accept import accept
from runner_dashboard.refusals import PendingError
from runner_dashboard.retention import daily

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_closure.report import Report
    from runner_dashboard.services import Services

_DAY = 86_400
_HOUR = 3600
_DAYS = 5
_WORKERS = 4
_SITES = ("berlin", "lagos", "lima", "osaka", "oslo", "quito", "riga", "tunis")
_WAITING = 3


@dataclass(frozen=True)
class Fate:
    """What happens to a machine: one of every so many."""

    every: int
    name: str


_FATES = (Fate(97, "altered"), Fate(61, "cloned"), Fate(43, "silent"), Fate(29, "outdated"), Fate(17, "undecided"))
"""The first that fits: rare and bad ones before common ones."""


def fate(number: int) -> str:
    """Return what happens to the machine *number*."""
    return next((one.name for one in _FATES if number % one.every == one.every - 1), "well")


def releases() -> list[Release]:
    """Return the releases of the last days, the oldest first."""
    return [Release(version, size=60) for version in range(4, 8)]


def populate(services: Services, size: int, now: int) -> int:
    """Let *size* machines report for the last days until *now*, and return how many reports were taken."""
    machines = [Machine(f"{_SITES[number % len(_SITES)]}-{number:03}", releases()[0]) for number in range(size)]
    first = now - _DAYS * _DAY
    for release in releases():
        services.database.write(partial(manifests.keep, now=first, data=release.manifest, by="demonstration"))
    with ThreadPoolExecutor(_WORKERS) as pool:
        taken = sum(pool.map(lambda pair: _live(services, pair[1], pair[0], first, now), enumerate(machines)))
    for number in range(_WAITING):
        _knock(services, Machine(f"new-{number + 1}", releases()[-1]), now - number * _HOUR)
    daily.sum_up(services.database, now)
    return taken


def _live(services: Services, machine: Machine, number: int, first: int, now: int) -> int:
    """Enrol one machine, and let it report once a day, a little later than its neighbour."""
    services.database.write(
        lambda connection: enrolment.enrol_key(
            connection, first, key=machine.public_key, name=machine.name, by="demonstration"
        )
    )
    taken = 0
    for at, report in _reports(machine, number, first, now):
        nonce = services.nonces.hand_out(at, "")
        _send(services, machine, replace(report, nonce=nonce), at)
        taken += 1
    return taken


def _reports(machine: Machine, number: int, first: int, now: int) -> Iterator[tuple[int, Report]]:
    what, known = fate(number), releases()
    newest = known[-1].version
    other_boot = Machine(machine.name, machine.release).boot_id
    for day in range(_DAYS):
        at = first + day * _DAY + (number * 97) % (_DAY - _HOUR) + _HOUR
        if at > now or (what == "silent" and day > 1):
            return
        release = known[min(day if number % 3 else day + 1, len(known) - 1)]
        if what != "outdated" and release != machine.release:
            machine.release = release
            machine.boot()
        report = machine.passed(at, latest=newest)
        if what == "cloned" and day % 2:
            report = replace(report, boot_id=other_boot)
        yield at, _troubled(machine, report, what, number, last=day == _DAYS - 1)


def _troubled(machine: Machine, report: Report, what: str, number: int, *, last: bool) -> Report:
    """Return *report* with what is wrong on a machine of this fate."""
    if what == "altered" and last:
        return machine.altered(report, 6, f"back door {number}")
    if what == "outdated" and last:
        return replace(report, verdict="failed", findings=(finding("EV111", "three newer releases are published"),))
    if what == "undecided":
        late = finding("EV104", "the release server does not answer")
        return replace(report, verdict="undecided", level_reached="bytes", findings=(late,))
    return report


def _send(services: Services, machine: Machine, report: Report, at: int) -> None:
    accept(
        services.database,
        services.nonces,
        services.rates,
        now=at,
        body=machine.sign(report),
        token="",
        pending=_WAITING,
    )


def _knock(services: Services, machine: Machine, at: int) -> None:
    """Let a machine that nobody knows send its first report: it waits for approval then."""
    try:
        _send(services, machine, machine.passed(at), at)
    except PendingError:
        return
    raise AssertionError("a stranger was let in")
