"""The command `ec-netboot`: which subcommands there are, and the one place where errors become exit codes.

Exit: 0 done · 2 usage, configuration or a bad archive · 3 this machine, trust or transport · 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ec_closure.decoding import excerpt
from ec_closure.errors import EcError, LocalError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import App

_INTERRUPTED = 130
_ASK = "see `ec-netboot --help`"
_MAX_SHOWN = 1000

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
        sys.stderr.write("ec-netboot: interrupted; what was served before is still staged\n")
        return _INTERRUPTED
    return code if isinstance(code, int) else 0


def _carry_out(arguments: list[str]) -> object:
    from cyclopts.exceptions import CycloptsError

    if not arguments:
        raise UsageError("no command", hint=_ASK)
    try:
        return make_app()(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        raise UsageError(str(error), hint=_ASK) from error


def _complain(error: EcError) -> int:
    sys.stderr.write(f"ec-netboot: {_one_line(str(error))}\n")
    hint = error.hint or (_ASK if error.exit_code == UsageError.exit_code else None)
    if hint:
        sys.stderr.write(f"  hint: {_one_line(hint)}\n")
    return error.exit_code


def _one_line(text: str) -> str:
    return excerpt(" ".join(text.split()), _MAX_SHOWN)


def _version() -> str:
    from importlib.metadata import version

    return version("ec-netboot")
