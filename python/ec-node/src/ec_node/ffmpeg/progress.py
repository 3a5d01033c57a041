"""What `ffmpeg -progress` says, line by line."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MAX_LINE = 4096
_NUMBER = re.compile(r"-?[0-9]{1,18}")
_SPEED = re.compile(r"\s*([0-9]{1,9}(\.[0-9]{1,9})?(e[+-][0-9]{1,2})?)x")


@dataclass(frozen=True)
class Progress:
    """One report: *time* of the output in microseconds, None before there is any; *speed* 1.0 is real time."""

    time: int | None = None
    frames: int = 0
    dropped: int = 0
    duplicated: int = 0
    speed: float = 0.0
    ended: bool = False


class ProgressReader:
    """Cuts what arrives into reports. What it does not know it passes over: versions of ffmpeg differ."""

    def __init__(self) -> None:
        self._rest = b""
        self._fields: dict[str, str] = {}

    def feed(self, data: bytes) -> list[Progress]:
        """Return the reports that *data* completes."""
        found = []
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _MAX_LINE:
            self._rest = b""
        for line in lines:
            key, _, value = line.decode("ascii", errors="replace").partition("=")
            if key == "progress":
                found.append(self._report(ended=value.strip() == "end"))
                self._fields = {}
            elif len(self._fields) < 100:  # noqa: PLR2004 - there are a dozen
                self._fields[key] = value.strip()
        return found

    def _report(self, *, ended: bool) -> Progress:
        speed = _SPEED.fullmatch(self._fields.get("speed", ""))
        return Progress(
            self._number("out_time_us"),
            self._number("frame") or 0,
            self._number("drop_frames") or 0,
            self._number("dup_frames") or 0,
            float(speed[1]) if speed else 0.0,
            ended,
        )

    def _number(self, key: str) -> int | None:
        value = self._fields.get(key, "")
        return int(value) if _NUMBER.fullmatch(value) else None
