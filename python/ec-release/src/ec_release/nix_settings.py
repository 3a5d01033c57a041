"""What every Nix is asked alike: to know its own new commands, and which settings are in force."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ec_release import program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FEATURES = ("--extra-experimental-features", "nix-command flakes")
_SETTING = re.compile(r"^(?P<name>[a-z0-9-]+) = (?P<value>.*)$", re.MULTILINE)


def read(nix: str, options: Sequence[str], env: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of the program *nix* by their names, *options* applied. Raises `ProgramError`."""
    try:
        answer = program.ask([nix, *FEATURES, "show-config", *options], env=env)
    except program.FailedError:
        # The command moved in 2.20; each release knows one of its names.
        answer = program.ask([nix, *FEATURES, "config", "show", *options], env=env)
    return dict(_SETTING.findall(answer.output.decode(errors="replace")))
