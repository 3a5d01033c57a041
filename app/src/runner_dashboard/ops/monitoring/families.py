"""The families of metrics that the application has, read from its own page."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass

from runner_dashboard import server
from runner_dashboard.config import Config
from runner_dashboard.ops import metrics

PREFIX = "runner_dashboard_"
_TYPE = re.compile(r"^# TYPE (?P<name>\S+) (?P<kind>gauge|counter)$", re.MULTILINE)
_HELP = re.compile(r"^# HELP (?P<name>\S+) (?P<about>.+)$", re.MULTILINE)
_NAMED = re.compile(rf"\b{PREFIX}[a-z_]+")


@dataclass(frozen=True)
class Family:
    """A family by its *name*, its *kind* and what it is *about*."""

    name: str
    kind: str
    about: str

    @property
    def series(self) -> str:
        """What its series are called: those of a counter have a suffix."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


def parse(page: str) -> dict[str, Family]:
    """Return the families of a page of OpenMetrics, by the name of their series."""
    about = {match["name"]: match["about"] for match in _HELP.finditer(page)}
    found = (Family(match["name"], match["kind"], about[match["name"]]) for match in _TYPE.finditer(page))
    return {family.series: family for family in found}


def of_application() -> dict[str, Family]:
    """Return the families of a dashboard that was just started, with an empty database of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="runner-dashboard-metrics.") as directory,
        server.opened(Config(state_dir=directory)) as services,
    ):
        return parse(metrics.render(services, 0))


def named(expression: str) -> set[str]:
    """Return the series of ours that an expression of PromQL names."""
    return set(_NAMED.findall(expression))
