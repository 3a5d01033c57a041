"""The command `ec-verify`: which subcommands there are, and the one place where errors become exit codes.

Exit: 0 passed or done · 1 a failing finding · 2 usage or configuration · 3 undecided · 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from cyclopts import App
from cyclopts.exceptions import CycloptsError

from ec_closure.errors import EcError, LocalError, UsageError
from ec_verify.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTERRUPTED = 130
_ASK = "see `ec-verify --help`"
_INCOMPLETE: tuple[list[str], ...] = ([], ["config"], ["policy"])

_HELP = (
    "Prove that this node runs what CI signed.\n\n"
    "Hashes what is on the disk, evaluates the flake source embedded in the running system, rebuilds it in a ghost "
    "store that never touches the real one, and compares all of it with the manifest that CI signed. The verdict "
    "names the level that was reached: bytes, source, rebuild or full.\n\n"
    "Exit codes: 0 passed, 1 a failing finding, 2 usage or configuration, 3 undecided."
)

_COMMANDS = {
    "run": "Verify, sign the report, keep and send it: what the timer runs.",
    "scan": "Steps 1 to 3: hash the store and judge it. No report.",
    "source": "Steps 1 to 4: also evaluate the embedded flake. No report.",
    "rebuild": "Steps 1 to 5: also rebuild in a ghost store. No report.",
    "explain": "Why one store path has the verdict it has.",
    "closure": "The closure of a store path, from the database.",
    "nar-hash": "The NAR hash of any tree, as Nix computes it.",
    "status": "What the last run said, and what waits to be sent.",
    "key": "This node's public key, made at first use.",
    "self-test": "Plant a tamper in a scratch copy and see whether it is noticed.",
    "clean": "Remove what killed runs left in the scratch directory.",
    "demo": "Build, sign, publish, verify and attack a small appliance.",
}


def make_app() -> App:
    """Return the application. Commands are imported when they run, so that `--help` is quick."""
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
    config = App(name="config", help="The configuration.")
    config.command("ec_verify.commands.config:check", name="check", help="Check verify.toml and the policy it names.")
    app.command(config)
    policy = App(name="policy", help="What the operator accepts.")
    policy.command("ec_verify.commands.policy:check", name="check", help="Check a policy, and what deserves a look.")
    policy.command("ec_verify.commands.policy:explain", name="explain", help="Say what it does, in words.")
    app.command(policy)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line *arguments* and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names on a disk are bytes; what a terminal's character set lacks must not end a run.
            stream.reconfigure(errors="backslashreplace")
    try:
        if list(arguments) in _INCOMPLETE:
            # Help alone would be a success, and 0 means `passed`.
            raise UsageError("no command", hint=_ASK)
        code = make_app()(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except EcError as error:
        return _complain(error)
    except CycloptsError as error:
        return _complain(UsageError(str(error), hint=_ASK))
    except BrokenPipeError:
        # The reader of our result has left; nothing further can be said to it, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return LocalError.exit_code
    except OSError as error:
        return _complain(LocalError(error.strerror or str(error), place=error.filename and str(error.filename)))
    except KeyboardInterrupt:
        sys.stderr.write("ec-verify: interrupted; nothing stays mounted\n")
        return _INTERRUPTED
    return code if isinstance(code, int) else 0


def _complain(error: EcError) -> int:
    sys.stderr.write(f"ec-verify: {one_line(str(error))}\n")
    hint = error.hint or (_ASK if error.exit_code == UsageError.exit_code else None)
    if hint:
        sys.stderr.write(f"  hint: {one_line(hint)}\n")
    return error.exit_code


def _version() -> str:
    from importlib.metadata import version

    return version("ec-verify")
