"""The command `runner-dashboard`: which subcommands there are, and the one place where errors become exit codes.

Exit: 0 done · 1 not healthy · 2 usage or configuration · 3 this machine or the database · 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cyclopts import App
from cyclopts.exceptions import CycloptsError

from ec_closure import command_line
from ec_closure.decoding import excerpt
from ec_closure.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ec_closure.errors import EcError

_MAX = 1000
_ASK = "see `runner-dashboard --help`"

_HELP = (
    "Show what a fleet of runners proves.\n\n"
    "Receives the signed reports of nodes, keeps them as evidence, and shows what the fleet runs, what of it is "
    "proven, and which node differs from its peers.\n\n"
    "Exit codes: 0 done, 1 not healthy, 2 usage or configuration, 3 this machine or the database."
)

_COMMANDS = {
    "serve": "Serve pages, API and nodes until told to stop.",
    "check": "Check the configuration and the environment, and say what deserves a second look.",
    "migrate": "Bring the database to this version's schema.",
    "backup": "Write a copy of the database to a file, while it is in use.",
    "restore": "Put such a copy in the place of the database, while no server runs.",
    "compact": "Remove what is older than the configuration says, and needed by nothing.",
    "demo": "Serve a dashboard of two hundred simulated nodes, with real signed reports.",
    "healthcheck": "Ask the server of this machine whether it is well: for containers.",
}
_TOKEN = {
    "generate": "Print a new token for a bootstrap token file, and remember nothing.",
    "create": "Make an API token, and print it once.",
    "list": "Print the API tokens, without their secrets.",
    "revoke": "Revoke an API token.",
    "enrol": "Make a one-time token with which a node enrols itself, and print it once.",
}


def make_app() -> App:
    """Return the application. Commands are imported when they run, so that `--help` is quick."""
    app = App(
        name="runner-dashboard",
        help=_HELP,
        version=_version,
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    commands = "runner_dashboard.commands"
    for name, text in _COMMANDS.items():
        app.command(f"{commands}.{name}:{name}", name=name, help=text, version_flags=())
    token = App(name="token", help="API tokens, and one-time tokens of nodes.")
    for name, text in _TOKEN.items():
        token.command(f"{commands}.token:{name}_token", name=name, help=text)
    app.command(token)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line *arguments* and return the exit code."""
    command_line.escape_what_cannot_be_shown()
    return command_line.carried_out(lambda: _carry_out(list(arguments)), _complain, "runner-dashboard: interrupted")


def _carry_out(arguments: list[str]) -> object:
    if not arguments or arguments == ["token"]:
        # Help alone would be a success, and a unit that forgot its verb would look well.
        raise UsageError("no command", hint=_ASK)
    try:
        return make_app()(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        raise UsageError(str(error), hint=_ASK) from error


def _complain(error: EcError) -> int:
    sys.stderr.write(f"runner-dashboard: {excerpt(str(error), _MAX)}\n")
    if error.hint:
        sys.stderr.write(f"  hint: {excerpt(error.hint, _MAX)}\n")
    return error.exit_code


def _version() -> str:
    from importlib.metadata import version

    return version("runner-dashboard")
