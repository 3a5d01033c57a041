"""Logs go to standard error: standard output is the result. Secrets never get here; what strangers wrote is escaped."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Literal

import structlog

from ec_closure.decoding import excerpt

if TYPE_CHECKING:
    from collections.abc import MutableMapping

Form = Literal["auto", "json", "console"]
Level = Literal["debug", "info", "warning", "error"]

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_MAX = 1000


def _printable(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape and cut what strangers have put into the texts of *event*."""
    return {key: excerpt(value, _MAX) if isinstance(value, str) else value for key, value in event.items()}


class _Bridge(logging.Handler):
    """What the web server says itself, such as that a request was no HTTP, among our own lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log it as an event of ours."""
        structlog.get_logger().log(record.levelno, record.getMessage(), logger=record.name)


def configure(form: Form = "auto", level: Level = "info") -> None:
    """Send logs to standard error; `auto` means lines for people on a terminal and JSON elsewhere."""
    server = logging.getLogger("uvicorn")
    server.handlers, server.propagate = [_Bridge(logging.WARNING)], False
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _printable,
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
