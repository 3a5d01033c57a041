"""Numbers that only grow, counted in this process, and written as OpenMetrics."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Labels = tuple[tuple[str, str], ...]


class Counters:
    """Counters by name and labels. Safe to use from every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, dict[Labels, float]] = defaultdict(lambda: defaultdict(float))

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add *amount* to a counter. Labels must come from a small set: never from what strangers write."""
        with self._lock:
            self._values[name][tuple(sorted(labels.items()))] += amount

    def snapshot(self, name: str) -> dict[Labels, float]:
        """Return the values of *name* by labels."""
        with self._lock:
            return dict(self._values.get(name, {}))


class Page:
    """A page of OpenMetrics text, written family by family. Source: OpenMetrics 1.0."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(self, kind: str, name: str, about: str, samples: Mapping[Labels, float]) -> None:
        """Write the family *name* with all its *samples*; those of a counter get their suffix."""
        self._lines.append(f"# TYPE {name} {kind}")
        self._lines.append(f"# HELP {name} {about}")
        suffix = "_total" if kind == "counter" else ""
        for labels, value in sorted(samples.items()):
            text = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels)
            self._lines.append(f"{name}{suffix}{f'{{{text}}}' if text else ''} {value:.15g}")

    def gauge(self, name: str, about: str, value: float) -> None:
        """Write a family with one value."""
        self.family("gauge", name, about, {(): value})

    def render(self) -> str:
        """Return the page."""
        return "\n".join([*self._lines, "# EOF"]) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
