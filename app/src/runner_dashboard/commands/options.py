"""What every subcommand takes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from runner_dashboard import config as configuration
from runner_dashboard import logs
from runner_dashboard.config import Config


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """What every command takes."""

    config: Annotated[Path | None, Parameter(help="The configuration [/etc/runner-dashboard/dashboard.toml].")] = None

    def load(self) -> Config:
        """Load the configuration with the environment laid over it, and begin to log. Raises `ConfigError`."""
        found = configuration.load(self.config, os.environ)
        logs.configure(found.log.form, found.log.level)
        return found
