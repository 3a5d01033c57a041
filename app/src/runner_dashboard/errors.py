"""What can go wrong in the dashboard, by whose fault. Roots in `ec_closure.errors`.

ConfigError        dashboard.toml, the environment or an option        exit 2
DatabaseError      the database is missing, damaged, or not ours       exit 3
ServeError         the address cannot be served                        exit 3
RefusedError       a request is refused: see `runner_dashboard.refusals`
"""

from __future__ import annotations

from ec_closure.errors import BadInputError, LocalError


class ConfigError(BadInputError):
    """The configuration is not valid."""

    code = "dashboard.config"


class DatabaseError(LocalError):
    """The database cannot be used."""

    code = "dashboard.database"


class ServeError(LocalError):
    """The address cannot be served, or somebody serves this state directory already."""

    code = "dashboard.serve"
