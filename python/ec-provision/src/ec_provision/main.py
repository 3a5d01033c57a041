"""The command `ec-provision`: which subcommands there are, and the one place where errors become exit codes.

Exit: 0 done · 2 usage or bad data · 3 this machine, trust or transport · 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ec_closure import command_line
from ec_closure.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import App

    from ec_closure.errors import EcError

_ASK = "see `ec-provision --help`"

_HELP = (
    "Give this node what is its own: name, SSH keys, dashboard, broadcasts.\n\n"
    "Systems of one variant are the same on every node. What differs is read at boot from node.toml, looked for as a "
    "systemd credential, at the address of the kernel parameter ec.node, on a partition labelled EC-NODE, and in "
    "/var/lib/every-channel; the first that exists counts. `ec-provision template` prints a file to start from.\n\n"
    "Exit codes: 0 done, 2 usage or bad data, 3 a source or this machine failed. After 2 and 3 nothing was changed."
)

_COMMANDS = {
    "apply": "Find node.toml and apply it: what runs at boot.",
    "check": "Check a node.toml before it is copied to a node.",
    "show": "What was applied on this boot, and from where.",
    "template": "Print a commented node.toml to start from.",
}


def make_app() -> App:
    """Return the application. Commands are imported when they run."""
    from cyclopts import App

    app = App(
        name="ec-provision",
        help=_HELP,
        version=_version,
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    for name, text in _COMMANDS.items():
        app.command(f"ec_provision.commands.{name}:{name}", name=name, help=text, version_flags=())
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line *arguments* and return the exit code."""
    command_line.escape_what_cannot_be_shown()
    return command_line.carried_out(
        lambda: _carry_out(list(arguments)), _complain, "ec-provision: interrupted; nothing was changed"
    )


def _carry_out(arguments: list[str]) -> object:
    if not arguments:
        raise UsageError("no command", hint=_ASK)
    from cyclopts.exceptions import CycloptsError

    try:
        return make_app()(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        raise UsageError(str(error), hint=_ASK) from error


def _complain(error: EcError) -> int:
    return command_line.tell("ec-provision", error, error.hint or (_ASK if isinstance(error, UsageError) else None))


def _version() -> str:
    from importlib.metadata import version

    return version("ec-provision")
