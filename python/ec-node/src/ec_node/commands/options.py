"""Options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ec_node import config as configuration
from ec_node import logs
from ec_node.config import Config


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Options of every command."""

    config: Annotated[Path | None, Parameter(help="ec-node.toml [/etc/ec-node/ec-node.toml, if it exists].")] = None
    json: Annotated[bool, Parameter(help="Print the result as JSON.", negative=())] = False
    quiet: Annotated[bool, Parameter(name=("--quiet", "-q"), help="Log warnings only.", negative=())] = False
    verbose: Annotated[bool, Parameter(name=("--verbose", "-v"), help="Log more.", negative=())] = False

    def settings(self) -> Config:
        """Load the configuration, and let logs begin. Raises `ConfigError`."""
        logs.configure("quiet" if self.quiet else "verbose" if self.verbose else "normal")
        return configuration.load(self.config)
