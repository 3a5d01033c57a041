"""Keeps a program running: `python -I keeper.py PROGRAM ARGUMENTS`.

Run as a file, and of the standard library alone: where programs find their libraries by themselves, as in Nix, the
interpreter does not.

A process of its own, because it may have rights that the server has dropped, and because it ends the program whenever
the server ends, in whatever way: its standard input is a pipe whose other end the server holds.

Ends with 0 when that pipe does, and with 1 when the program ended too often to be started again.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIRST, _LONGEST = 0.5, 30.0
_GIVE_UP = 6
_LONG_ENOUGH = 60.0
_PATIENCE = 5.0


def keep(command: Sequence[str], lifeline: int) -> int:
    """Run *command* until the pipe *lifeline* ends; start it again when it ends by itself, ever later.

    What ran for a minute has recovered. Return the exit code.
    """
    failures = 0
    while failures < _GIVE_UP:
        begun = time.monotonic()
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
            descriptor = os.pidfd_open(process.pid)
            try:
                ready, _, _ = select.select([lifeline, descriptor], [], [])
            finally:
                os.close(descriptor)
            if lifeline in ready:
                _end(process)
                return 0
        failures = 1 if time.monotonic() - begun > _LONG_ENOUGH else failures + 1
        sys.stderr.write(f"ec-netboot: {command[0]} ended with {process.returncode}\n")
        wait = min(_FIRST * 2 ** (failures - 1), _LONGEST)
        if failures < _GIVE_UP and select.select([lifeline], [], [], wait)[0]:
            return 0
    return 1


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()


if __name__ == "__main__":
    # Signals for the whole group are the server's to answer: it closes the pipe. Handlers, since the program that is
    # started would go on ignoring what is ignored here.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    sys.exit(keep(sys.argv[1:], sys.stdin.fileno()))
