"""What can go wrong while verifying, by whose fault. Roots in `ec_closure.errors`.

ConfigError    verify.toml or an option                                   exit 2
GhostError     this machine allows no ghost store, or it broke            exit 3
NixError       nix is missing, too old, or failed where it must not       exit 3
StateError     our own state directory is unusable                        exit 3
"""

from __future__ import annotations

from ec_closure.errors import BadInputError, LocalError


class ConfigError(BadInputError):
    """The configuration is not valid."""

    code = "verify.config"


class GhostError(LocalError):
    """No ghost store can be made here."""

    code = "verify.ghost"


class CanaryError(GhostError):
    """A ghost store is not private: what was made inside came out."""

    code = "verify.canary"


class NixError(LocalError):
    """Nix is missing or did not do what it must."""

    code = "verify.nix"


class StateError(LocalError):
    """The verifier's own state directory cannot be used."""

    code = "verify.state"
