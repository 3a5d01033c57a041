"""diffoscope, where it is installed: it looks into archives, images and programs, which we do not.

It parses what a stranger may have altered, with many programs. So it gets a directory of its own, an environment made
from nothing, and limits of time, memory and size; its report is a file to read, and nothing rests on it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from ec_closure.errors import LocalError
from ec_closure.nar.restore import restore
from ec_verify.ghost.scratch import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS = 600.0
_MEMORY = 4 << 30
_FILE = 1 << 30
_REPORT = 16 << 20
_SAME_OR_NOT = (0, 1)


class DiffoscopeError(LocalError):
    """diffoscope is not there, or did not do its work."""

    code = "verify.diffoscope"


def report(
    left: IO[bytes], right: IO[bytes], names: tuple[str, str], target: Path, *, seconds: float = _SECONDS
) -> Path:
    """Let diffoscope compare the archives *left* and *right*, and return *target*, which holds its report.

    Raises `DiffoscopeError` when it is not installed, fails, or does not end within *seconds*, and `TreeError` when
    there is no room.
    """
    program = shutil.which("diffoscope")
    if program is None:
        raise DiffoscopeError("diffoscope is not installed", hint="without it, entries are compared byte by byte")
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _private(target.parent) as room:
        for file, name in zip((left, right), names, strict=True):
            file.seek(0)
            restore(cast("BinaryIO", file), room / name)
        made = room / "report.txt"
        command = [program, "--text", str(made), "--max-report-size", str(_REPORT), *names]
        _run(command, room, seconds)
        if made.exists():
            made.replace(target)
        else:
            target.write_text("diffoscope sees no difference\n")
    return target


def _run(command: list[str], room: Path, seconds: float) -> None:
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(room), "TMPDIR": str(room), "LC_ALL": "C.UTF-8"}
    with (room / "log").open("w+b") as log:
        process = subprocess.Popen(
            command, cwd=room, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        try:
            with contextlib.suppress(ProcessLookupError):  # it was quicker
                resource.prlimit(process.pid, resource.RLIMIT_AS, (_MEMORY, _MEMORY))
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (_FILE, _FILE))
            code = process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise DiffoscopeError(f"diffoscope did not end within {seconds:.0f} seconds") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if code not in _SAME_OR_NOT:
            log.seek(0)
            said = log.read(500).decode(errors="replace")
            raise DiffoscopeError(f"diffoscope ended with exit code {code}: {said}")


@contextlib.contextmanager
def _private(parent: Path) -> Iterator[Path]:
    room = Path(tempfile.mkdtemp(dir=parent, prefix=".diffoscope-"))
    try:
        yield room
    finally:
        remove_tree(room)
