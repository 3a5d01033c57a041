"""The command `ec-verify`: which subcommands there are, and the one place where errors become exit codes.

Exit: 0 passed or done · 1 a failing finding · 2 usage or configuration · 3 undecided · 130 interrupted.
"""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

from ec_closure import command_line
from ec_closure.errors import UsageError
from ec_verify.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import App

    from ec_closure.errors import EcError

_ASK = "see `ec-verify --help`"
_WIDTH = 80

_HELP = (
    "Prove that this node runs what CI signed.\n\n"
    "Hashes what is on the disk, evaluates the flake source embedded in the running system, rebuilds it in a ghost "
    "store that never touches the real one, and compares all of it with the manifest that CI signed. The verdict "
    "names the level that was reached: bytes, source, rebuild or full.\n\n"
    "Exit codes: 0 passed, 1 a failing finding, 2 usage or configuration, 3 undecided."
)

_COMMANDS = {
    "run": "Verify, sign the report, keep and send it: what the timer runs.",
    "fetch": "Fetch what a run without network needs: needs no rights.",
    "submit": "Send the reports that wait: needs no rights.",
    "scan": "Steps 1 to 3: hash the store and judge it. No report.",
    "source": "Steps 1 to 4: also evaluate the embedded flake. No report.",
    "rebuild": "Steps 1 to 5: also rebuild in a ghost store. No report.",
    "explain": "Why one store path has the verdict it has.",
    "evidence": "Write the evidence bundle of the last run to a file.",
    "check-evidence": "Check an evidence bundle, given only the pinned root: anywhere, offline.",
    "closure": "The closure of a store path, from the database.",
    "nar-hash": "The NAR hash of any tree, as Nix computes it.",
    "status": "What the last run said, and what waits to be sent.",
    "key": "This node's public key, made at first use.",
    "self-test": "Plant a tamper in a scratch copy and see whether it is noticed.",
    "clean": "Remove what killed runs left in the scratch directory.",
    "demo": "Build, sign, publish, verify and attack a small appliance.",
}


_GROUPS = {
    "config": ("The configuration.", {"check": "Check verify.toml and the policy it names."}),
    "policy": (
        "What the operator accepts.",
        {"check": "Check a policy, and what deserves a look.", "explain": "Say what it does, in words."},
    ),
}

_OPTIONS = {"--help (-h)": "Display this message and exit.", "--version": "Display application version."}


def make_app() -> App:
    """Return the application. Commands are imported when they run."""
    from cyclopts import App

    app = App(
        name="ec-verify",
        help=_HELP,
        version=_version,
        help_format="plaintext",
        suppress_keyboard_interrupt=False,  # `run` says what an interrupt leaves behind
    )
    for name, text in _COMMANDS.items():
        function = name.replace("-", "_")
        app.command(f"ec_verify.commands.{function}:{function}", name=name, help=text, version_flags=())
    for name, (text, commands) in _GROUPS.items():
        group = App(name=name, help=text)
        for command, about in commands.items():
            group.command(f"ec_verify.commands.{name}:{command}", name=command, help=about)
        app.command(group)
    return app


def overview() -> str:
    """Return what `ec-verify --help` says: the words that `make_app` would, ten times as fast."""
    commands = _COMMANDS | {name: text for name, (text, _) in _GROUPS.items()}
    width = max(map(len, (*commands, *_OPTIONS)))
    parts = ["Usage: ec-verify COMMAND", *(textwrap.fill(part, _WIDTH) for part in _HELP.split("\n\n"))]
    for title, entries in (("Commands", dict(sorted(commands.items()))), ("Options", _OPTIONS)):
        parts.append("\n".join([f"{title}:", *(f"  {name:<{width}}  {text}" for name, text in entries.items())]))
    return "\n\n".join(parts) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line *arguments* and return the exit code."""
    # Names on a disk are bytes.
    command_line.escape_what_cannot_be_shown()
    return command_line.carried_out(
        lambda: _carry_out(list(arguments)), _complain, "ec-verify: interrupted; nothing stays mounted"
    )


def _carry_out(arguments: list[str]) -> object:
    if not arguments or (len(arguments) == 1 and arguments[0] in _GROUPS):
        # Help alone would be a success, and 0 means `passed`.
        raise UsageError("no command", hint=_ASK)
    if arguments in (["--help"], ["-h"]):
        sys.stdout.write(overview())
        return 0
    if arguments == ["--version"]:
        sys.stdout.write(f"{_version()}\n")
        return 0
    from cyclopts.exceptions import CycloptsError

    try:
        app = make_app()
        if arguments[-1] in ("--help", "-h"):
            command_line.explain(app, arguments[:-1])
        return app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        raise UsageError(str(error), hint=_ASK) from error


def _complain(error: EcError) -> int:
    sys.stderr.write(f"ec-verify: {one_line(str(error))}\n")
    hint = error.hint or (_ASK if error.exit_code == UsageError.exit_code else None)
    if hint:
        sys.stderr.write(f"  hint: {one_line(hint)}\n")
    return error.exit_code


def _version() -> str:
    from importlib.metadata import version

    return version("ec-verify")
