"""The node's own data, as `ec-provision apply` left them: name, dashboard, and the digest that reports carry.

What is wrong with them costs their own effect and nothing else. A node whose data are damaged must still be verified:
else whoever can damage them would have found the way to be left alone.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from ec_closure import node_config
from ec_closure.errors import EcError
from ec_closure.files import open_regular
from ec_closure.node_config import NodeApplied
from ec_verify.config import check_dashboard, check_member

if TYPE_CHECKING:
    from ec_verify.config import Settings

log = structlog.get_logger()

_NOTHING = NodeApplied(source="none", digest=None)


def apply(settings: Settings) -> Settings:
    """Return *settings* with what verify.toml leaves to the node's data, and with what is wrong with these.

    Raises `ConfigError` where the fleet has no member of this node's name.
    """
    config = settings.config
    told, problem = _read(config.node_file)
    try:
        if told.dashboard is not None and not config.report.url:
            check_dashboard(told.dashboard)
            config = msgspec.structs.replace(config, report=msgspec.structs.replace(config.report, url=told.dashboard))
    except EcError as error:
        problem = f"{config.node_file}: dashboard: {error.message}"
    config = msgspec.structs.replace(config, node=config.node or told.name or config.name)
    check_member(config)
    if problem is not None:
        log.warning("the node's own data are not used", reason=problem)
    return replace(settings, config=config, node_data_digest=told.digest, node_data_problem=problem)


def _read(name: str) -> tuple[NodeApplied, str | None]:
    """Return the data in the file *name*, none where it is absent, and what is wrong with it."""
    if not name:
        return _NOTHING, None
    try:
        with open_regular(Path(name)) as file:
            data = file.read(node_config.MAX_BYTES + 1)
        return node_config.decode_applied(data, what=name), None
    except FileNotFoundError:
        return _NOTHING, None
    except OSError as error:
        reason = "is a link" if error.errno == errno.ELOOP else error.strerror or str(error)
        return _NOTHING, f"{name}: {reason}"
    except EcError as error:
        return _NOTHING, str(error)
