"""The command `ec-netboot`: which subcommands there are, and the one place where errors become exit codes.

Exit: 0 done · 2 usage, configuration or a bad archive · 3 this machine, trust or transport · 130 interrupted.
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

_ASK = "see `ec-netboot --help`"

_HELP = (
    "Stage verified boot images and serve them.\n\n"
    "`stage` fetches the newest release (or a pinned one) that signed metadata vouch for, verifies and unpacks it, and "
    "only then switches to it; the release before stays for `rollback`. `serve` answers machines that boot: HTTP for "
    "script, kernel and initrd, TFTP and ProxyDHCP for iPXE itself.\n\n"
    "Exit codes: 0 done, 2 usage, configuration or a bad archive, 3 this machine, trust or transport."
)

_COMMANDS = {
    "stage": "Fetch, verify and switch to the newest release, a tag, or a local archive.",
    "rollback": "Serve the previous release again.",
    "serve": "Serve what is staged: HTTP, and TFTP and ProxyDHCP where configured.",
    "render": "Print the boot script of what is staged.",
    "status": "What is served, since when, and what vouches for it.",
    "check": "Check netboot.toml.",
    "clean": "Remove what killed runs left, and releases that nothing leads back to.",
}


def make_app() -> App:
    """Return the application. Commands are imported when they run, so that `--help` is quick."""
    from cyclopts import App

    app = App(
        name="ec-netboot", help=_HELP, version=_version, help_format="plaintext", suppress_keyboard_interrupt=False
    )
    for name, text in _COMMANDS.items():
        app.command(f"ec_netboot.commands.{name}:{name}", name=name, help=text, version_flags=())
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line *arguments* and return the exit code."""
    return command_line.carried_out(
        lambda: _carry_out(list(arguments)),
        _complain,
        "ec-netboot: interrupted; what was served before is still staged",
    )


def _carry_out(arguments: list[str]) -> object:
    from cyclopts.exceptions import CycloptsError

    if not arguments:
        raise UsageError("no command", hint=_ASK)
    try:
        return make_app()(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        raise UsageError(str(error), hint=_ASK) from error


def _complain(error: EcError) -> int:
    hint = error.hint or (_ASK if error.exit_code == UsageError.exit_code else None)
    return command_line.tell("ec-netboot", error, hint)


def _version() -> str:
    from importlib.metadata import version

    return version("ec-netboot")
