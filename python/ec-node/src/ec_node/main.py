"""The command `ec-node`: which subcommands there are, and the one place where errors become exit codes.

Exit: 0 done or stopped · 2 usage, configuration, or an input that cannot be published · 3 input, program or machine ·
130 interrupted.
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

_ASK = "see `ec-node --help`"

_HELP = (
    "Publish a broadcast: from a tuner, a stream, a file or a test pattern to HLS.\n\n"
    "One process publishes one broadcast. ffmpeg encodes it (or passes it through), the built-in origin serves it, and "
    "another origin can be sent it. What fails is tried again, and playlists stay valid meanwhile.\n\n"
    "Exit codes: 0 done or stopped, 2 usage, configuration or an input that cannot be published, 3 the input, ffmpeg "
    "or this machine."
)

_COMMANDS = {
    "publish": "Publish one broadcast until stopped: what each unit runs.",
    "check": "Check a broadcast and ec-node.toml; with --input, what the input holds.",
    "discover": "List the HDHomeRun tuners on this network.",
}
_ARCHIVE = {
    "record": "Keep what a playlist lists, from now on.",
    "replay": "Serve what was kept, as VOD and EVENT playlists.",
    "list": "What an archive holds.",
    "check": "Read an archive again: is every byte what its name says?",
}


def make_app() -> App:
    """Return the application. Commands are imported when they run."""
    from cyclopts import App

    app = App(name="ec-node", help=_HELP, version=_version, help_format="plaintext", suppress_keyboard_interrupt=False)
    for name, text in _COMMANDS.items():
        app.command(f"ec_node.commands.{name}:{name}", name=name, help=text, version_flags=())
    group = App(name="archive", help="Segments that are kept, by their content.")
    for name, text in _ARCHIVE.items():
        group.command(f"ec_node.commands.archive:{name}_archive", name=name, help=text, version_flags=())
    app.command(group)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line *arguments* and return the exit code."""
    command_line.escape_what_cannot_be_shown()
    return command_line.carried_out(lambda: _carry_out(list(arguments)), _complain, "ec-node: interrupted")


def _carry_out(arguments: list[str]) -> object:
    if not arguments or arguments == ["archive"]:
        raise UsageError("no command", hint=_ASK)
    from cyclopts.exceptions import CycloptsError

    try:
        return make_app()(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        raise UsageError(str(error), hint=_ASK) from error


def _complain(error: EcError) -> int:
    hint = error.hint or (_ASK if error.exit_code == UsageError.exit_code else None)
    return command_line.tell("ec-node", error, hint)


def _version() -> str:
    from importlib.metadata import version

    return version("ec-node")
