"""The command `ec-provision`: which subcommands there are, and the one place where errors become exit codes.

Exit: 0 done · 2 usage or bad data · 3 this machine, trust or transport · 130 interrupted.
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
_MAX = 1000
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
        sys.stderr.write("ec-provision: interrupted; nothing was changed\n")
        return _INTERRUPTED
    return code if isinstance(code, int) else 0


def _carry_out(arguments: list[str]) -> object:
    if not arguments:
        raise UsageError("no command", hint=_ASK)
    from cyclopts.exceptions import CycloptsError

    try:
        return make_app()(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        raise UsageError(str(error), hint=_ASK) from error


def _complain(error: EcError) -> int:
    sys.stderr.write(f"ec-provision: {excerpt(' '.join(str(error).split()), _MAX)}\n")
    hint = error.hint or (_ASK if isinstance(error, UsageError) else None)
    if hint:
        sys.stderr.write(f"  hint: {excerpt(hint, _MAX)}\n")
    return error.exit_code


def _version() -> str:
    from importlib.metadata import version

    return version("ec-provision")
