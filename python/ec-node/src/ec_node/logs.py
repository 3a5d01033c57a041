"""Logs go to standard error: standard output is the result."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog

from ec_closure.decoding import excerpt

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_LEVELS = {"quiet": logging.WARNING, "normal": logging.INFO, "verbose": logging.DEBUG}
_MAX = 1000


def _printable(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape what strangers have put into the texts of *event*."""
    return {key: excerpt(value, _MAX) if isinstance(value, str) else value for key, value in event.items()}


def configure(loudness: str = "normal") -> None:
    """Send logs to standard error, as lines for people on a terminal and as JSON elsewhere."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _printable,
            structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[loudness]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
