"""Killed before its n-th change to the file system, without any clean-up: n grows until the work gets through."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

_KILLED = 77
_CHANGES = frozenset(
    {
        "os.rename",
        "os.remove",
        "os.mkdir",
        "os.rmdir",
        "os.link",
        "os.symlink",
        "os.truncate",
        "os.chmod",
        "shutil.rmtree",
    }
)


def killed_before(step: int, work: Callable[[], object]) -> bool:
    """Run *work* in a process that dies before its change number *step*; return whether it died.

    Its temporary files, which it cannot remove, are removed here.
    """
    with tempfile.TemporaryDirectory() as scratch:
        child = os.fork()
        if not child:
            tempfile.tempdir = scratch
            _work_until(step, work)
        _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, _KILLED), f"failed at step {step}"
    return code == _KILLED


def _work_until(step: int, work: Callable[[], object]) -> NoReturn:
    left = step

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        writing = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in _CHANGES or writing:
            left -= 1
            if left < 0:
                os._exit(_KILLED)

    try:
        sys.addaudithook(count)
        work()
        os._exit(0)
    finally:
        os._exit(1)
