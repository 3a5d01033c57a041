"""What Nix says while it works, in its `internal-json` log format: one object a line after `@nix `.

Only what verdicts rest on is kept: which builders ran, which failed and why, which paths were
fetched. The format has been the same from Nix 2.8 to 2.34; unknown activities are passed over.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

_PREFIX = b"@nix "
_BUILD = 105
_SUBSTITUTE = 108
_LOG_LINE = 101
_LOG_TAIL = 25
_MAX_LINE = 1 << 20
_MAX_MESSAGES = 1000
_MAX_MESSAGE = 20_000
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class _Event(msgspec.Struct):
    action: str
    id: int = 0
    type: int = -1
    level: int = 0
    msg: str = ""
    fields: list[str | int] = []


@dataclass
class Activity:
    """What happened in one or more invocations of Nix.

    *builders* holds the derivations whose builder was seen to run, in order. *logs* their last
    lines, *messages* errors of Nix itself. *substituted* holds the paths that were fetched.
    """

    builders: list[str] = field(default_factory=list)
    substituted: list[str] = field(default_factory=list)
    logs: dict[str, deque[str]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def last_lines(self, derivation: str) -> str:
        """Return the end of a builder's log, as one text."""
        return "\n".join(self.logs.get(derivation, ()))


class Reader:
    """Feeds lines into an `Activity`; *progress* is told each derivation as its builder starts and ends."""

    def __init__(self, activity: Activity, progress: Callable[[str, bool], None] | None = None) -> None:
        self._activity = activity
        self._progress = progress
        self._running: dict[int, str] = {}
        self._decoder = msgspec.json.Decoder(_Event)

    def feed(self, line: bytes) -> None:
        """Take one line of standard error. Lines that are not events are kept as messages."""
        text = line.rstrip(b"\n")
        if not text.startswith(_PREFIX) or len(text) > _MAX_LINE:
            if text.strip():
                self._message(text[:500].decode(errors="replace"))
            return
        try:
            event = self._decoder.decode(text[len(_PREFIX) :])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._message(text[:500].decode(errors="replace"))
            return
        match event.action, event.type:
            case "start", _ if event.type == _BUILD and event.fields:
                derivation = str(event.fields[0])
                self._running[event.id] = derivation
                self._activity.builders.append(derivation)
                self._tell(derivation, started=True)
            case "start", _ if event.type == _SUBSTITUTE and event.fields:
                self._activity.substituted.append(str(event.fields[0]))
            case "result", _ if event.type == _LOG_LINE and event.id in self._running and event.fields:
                tail = self._activity.logs.setdefault(self._running[event.id], deque(maxlen=_LOG_TAIL))
                tail.append(_ANSI.sub("", str(event.fields[0]))[:500])
            case "stop", _ if event.id in self._running:
                self._tell(self._running.pop(event.id), started=False)
            case "msg", _ if event.level <= 0:
                self._message(event.msg)

    def _message(self, text: str) -> None:
        # The first say what went wrong; a builder or an evaluation that never stops talking must not fill the memory.
        if len(self._activity.messages) < _MAX_MESSAGES:
            self._activity.messages.append(_ANSI.sub("", text[:_MAX_MESSAGE]))

    def _tell(self, derivation: str, *, started: bool) -> None:
        if self._progress is not None:
            self._progress(derivation, started)
