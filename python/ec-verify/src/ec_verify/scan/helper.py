"""What a helper of the pool does: see `ec_verify.scan.pool`, which starts it."""

from __future__ import annotations

import os
import pickle
import signal
import sys

from ec_verify.scan.path import look


def serve() -> None:
    """Answer batches of tasks from standard input with observations on standard output, until there are no more."""
    # An interrupt is for the process that started this one, and ends this one's input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    back = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anything else prints must not mix with the answers
    while True:
        try:
            batch = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
        except EOFError:
            return
        pickle.dump([look(task) for task in batch], back)
        back.flush()
