"""What is counted about a broadcast, as OpenMetrics 1.0 text. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

MEDIA_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_PREFIX = "ec_node_"
_FAMILIES = {
    "segments": ("counter", "Segments published."),
    "media_bytes": ("counter", "Bytes of segments published."),
    "runs": ("counter", "Starts of ffmpeg."),
    "failures": ("counter", "Ends of ffmpeg that were not asked for, by cause."),
    "requests": ("counter", "Answers of the origin, by status."),
    "sent_bytes": ("counter", "Bytes that the origin answered with."),
    "pushed": ("counter", "Files that another origin took."),
    "push_failures": ("counter", "Files that another origin did not take."),
    "push_dropped": ("counter", "Segments that were not sent to another origin, because it was too slow."),
    "archived": ("counter", "Segments archived."),
    "archive_dropped": ("counter", "Segments that were not archived."),
    "up": ("gauge", "Whether ffmpeg works now."),
    "last_segment_seconds": ("gauge", "Age of the newest segment."),
    "window_bytes": ("gauge", "Bytes of media held in memory."),
    "media_sequence": ("gauge", "Number of the next segment."),
    "push_queue": ("gauge", "Segments that wait to be sent."),
    "speed": ("gauge", "Speed of encoding; 1 is real time."),
    "dropped_frames": ("gauge", "Frames that this run of ffmpeg dropped."),
}

Labels = tuple[tuple[str, str], ...]


@dataclass
class Metrics:
    """Values of one broadcast. Names are those of the catalogue above; another is a mistake that raises `KeyError`."""

    broadcast: str
    _values: Counter[tuple[str, Labels]] = field(default_factory=Counter)
    _gauges: dict[str, float] = field(default_factory=dict)

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Add *amount* to a counter."""
        if _FAMILIES[name][0] != "counter":
            raise KeyError(name)
        self._values[name, tuple(sorted(labels.items()))] += amount

    def gauge(self, name: str, value: float) -> None:
        """Set a gauge."""
        if _FAMILIES[name][0] != "gauge":
            raise KeyError(name)
        self._gauges[name] = value

    def value(self, name: str, **labels: str) -> float:
        """Return what a counter or gauge says; 0 before anything was counted."""
        if name in self._gauges:
            return self._gauges[name]
        return self._values[name, tuple(sorted(labels.items()))]

    def render(self) -> str:
        """Return everything that has a value."""
        lines: list[str] = []
        for name, (kind, about) in _FAMILIES.items():
            samples = self._samples(name, kind)
            if samples:
                lines += [f"# TYPE {_PREFIX}{name} {kind}", f"# HELP {_PREFIX}{name} {about}", *samples]
        return "\n".join([*lines, "# EOF", ""])

    def _samples(self, name: str, kind: str) -> list[str]:
        if kind == "gauge":
            return [f"{_PREFIX}{name}{self._labels(())} {self._gauges[name]:.15g}"] if name in self._gauges else []
        return [
            f"{_PREFIX}{name}_total{self._labels(labels)} {value}"
            for (counted, labels), value in sorted(self._values.items())
            if counted == name
        ]

    def _labels(self, labels: Labels) -> str:
        return (
            "{"
            + ",".join(f'{key}="{_escaped(value)}"' for key, value in (("broadcast", self.broadcast), *labels))
            + "}"
        )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
