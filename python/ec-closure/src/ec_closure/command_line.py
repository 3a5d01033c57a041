"""How every program of ours ends: what went wrong becomes one line on standard error, and an exit code."""

from __future__ import annotations

import inspect
import io
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from ec_closure.decoding import excerpt
from ec_closure.errors import EcError, LocalError

if TYPE_CHECKING:
    from collections.abc import Callable

INTERRUPTED = 130
_MAX = 1000
_PARAMETERS = re.compile(r"^Parameters\n-+\n", re.MULTILINE)


def escape_what_cannot_be_shown() -> None:
    """Let standard output and error escape what the terminal's character set lacks, so that it ends no program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def carried_out(work: Callable[[], object], complain: Callable[[EcError], int], interrupted: str) -> int:
    """Do *work* and return the exit code: the number that it returns, or else 0.

    Errors of ours and of the system are told by *complain*, which returns the exit code. *interrupted* is the line that
    says what an interrupt leaves behind. Other exceptions are mistakes in the program, and pass.
    """
    try:
        code = work()
        sys.stdout.flush()
    except EcError as error:
        return complain(error)
    except BrokenPipeError:
        # The reader of our result has left; nothing further can be said to it, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return LocalError.exit_code
    except OSError as error:
        return complain(LocalError(error.strerror or str(error), place=error.filename and str(error.filename)))
    except KeyboardInterrupt:
        sys.stderr.write(f"{interrupted}\n")
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def explain(app: Any, names: list[str]) -> None:
    """Let the command called *names* tell all that its function says, and not the line of the overview alone.

    *app* is a cyclopts `App`, which this package does not know. Names that it does not have are left to it.
    """
    for name in names:
        if name not in app:
            return
        app = app[name]
    text = inspect.getdoc(app.default_command) if app.default_command is not None else None
    if text:
        told = _PARAMETERS.split(text)[0].strip().split("\n\n")
        app.help = "\n\n".join(" ".join(part.split()) for part in told)


def tell(program: str, error: EcError, hint: str | None) -> int:
    """Write *error* and *hint* to standard error, a line each, and return the error's exit code."""
    sys.stderr.write(f"{program}: {_one_line(str(error))}\n")
    if hint:
        sys.stderr.write(f"  hint: {_one_line(hint)}\n")
    return error.exit_code


def _one_line(text: str) -> str:
    return excerpt(" ".join(text.split()), _MAX)
