"""The command `ec-node`: which subcommands there are, and the one place where errors become exit codes.

Exit: 0 done or stopped · 2 usage, configuration, or an input that cannot be published · 3 input, program or machine ·
130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from ec_closure.decoding import excerpt
from ec_closure.errors import EcError, LocalError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import App

_INTERRUPTED = 130
_ASK = "see `ec-node --help`"
_MAX = 1000

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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _carry_out(list(arguments))
        sys.stdout.flush()
    except EcError as error:
        return _complain(error)
    except BrokenPipeError:
        # The reader of our result has left; nothing further can be said to it, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return LocalError.exit_code
    except OSError as error:
        return _complain(LocalError(error.strerror or str(error), place=error.filename and str(error.filename)))
    except KeyboardInterrupt:
        sys.stderr.write("ec-node: interrupted\n")
        return _INTERRUPTED
    return code if isinstance(code, int) else 0


def _carry_out(arguments: list[str]) -> object:
    if not arguments or arguments == ["archive"]:
        raise UsageError("no command", hint=_ASK)
    from cyclopts.exceptions import CycloptsError

    try:
        return make_app()(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        raise UsageError(str(error), hint=_ASK) from error


def _complain(error: EcError) -> int:
    sys.stderr.write(f"ec-node: {_line(str(error))}\n")
    hint = error.hint or (_ASK if error.exit_code == UsageError.exit_code else None)
    if hint:
        sys.stderr.write(f"  hint: {_line(hint)}\n")
    return error.exit_code


def _line(text: str) -> str:
    return excerpt(" ".join(text.split()), _MAX)


def _version() -> str:
    from importlib.metadata import version

    return version("ec-node")
