"""What a workflow calls our own program with, parsed by the program itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cyclopts.exceptions import CoercionError, CycloptsError, ValidationError

from ec_closure.errors import EcError
from ec_release.main import make_app

if TYPE_CHECKING:
    from tests.workflows.command import Word

# What a variable may hold, after a word of its own: a number, a time, and one of the words that a parameter lists.
VALUES = ("1", "2026-11-20T12:00:00Z", "")
_CHOICES = re.compile(r"Choose from: \"(?P<first>[\w-]+)\"")
_OPTION = "-"


def refused(words: list[Word]) -> str | None:
    """Return why `ec-release` would not take *words*, whatever their variables hold; None where it does.

    A variable may hold a word, a number, a time or a word of a list; what a command makes of a value is not checked.
    """
    held = {name: f"word-{name}" for word in words for name in word.variables}
    left = {name: list(VALUES) for name in held}
    app = make_app()
    while True:
        tokens = [word.value(held.__getitem__) for word in words]
        if not tokens or tokens[0].startswith(_OPTION):
            return "no command"
        try:
            command, _, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
        except (CoercionError, ValidationError, EcError) as error:
            said = f"{type(error).__name__}: {error}"
            # What a flag cannot take is not quoted: the flag is named.
            blamed = {name for word in words if f" {str(word).partition('=')[0]}:" in said for name in word.variables}
            name = next((name for name, rest in left.items() if rest and (held[name] in said or name in blamed)), None)
            if name is None:
                return said
            choice = _CHOICES.search(said)
            held[name] = left[name].pop(0) or (choice["first"] if choice else "word")
        except CycloptsError as error:
            return f"{type(error).__name__}: {error}"
        else:
            return None if command.__module__.startswith("ec_release.") else f"no command: {tokens[0]}"
