"""What a workflow calls our own program with, parsed by the program itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts.exceptions import CoercionError, CycloptsError, ValidationError

from ec_closure.errors import EcError
from ec_release.main import make_app

if TYPE_CHECKING:
    from tests.workflows.command import Word

# What a variable may hold: whichever its parameter takes.
VALUES = ("value", "1", "2026-11-20T12:00:00Z")
_OPTION = "-"


def refused(words: list[Word]) -> str | None:
    """Return why `ec-release` would not take *words*, whatever their variables hold; None where it does.

    A variable may hold a word, a number or a time; what a command makes of a value is not checked.
    """
    variables = sorted({name for word in words for name in word.variables})
    chosen = dict.fromkeys(variables, 0)
    app = make_app()
    while True:
        held = {name: VALUES[number] for name, number in chosen.items()}
        tokens = [word.value(held.__getitem__) for word in words]
        if not tokens or tokens[0].startswith(_OPTION):
            return "no command"
        try:
            command, _, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
        except (CoercionError, ValidationError, EcError) as error:
            name = next((name for name in variables if chosen[name] + 1 < len(VALUES)), None)
            if name is None:
                return f"{type(error).__name__}: {error}"
            _advance(chosen)
        except CycloptsError as error:
            return f"{type(error).__name__}: {error}"
        else:
            return None if command.__module__.startswith("ec_release.") else f"no command: {tokens[0]}"


def _advance(chosen: dict[str, int]) -> None:
    """Count on, as an odometer does."""
    for name, number in chosen.items():
        chosen[name] = (number + 1) % len(VALUES)
        if chosen[name]:
            return
