"""Running nix and skopeo as the job has them: the machine's settings, the user's caches, and no secrets but a file's.

What is run is code of the repository that is published. Tokens of the job are taken out of its environment; command
lines hold none, since every process of the machine may read them.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from typing import IO, TYPE_CHECKING, cast

from ec_closure.decoding import excerpt
from ec_closure.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FEATURES = ("--extra-experimental-features", "nix-command flakes")
_TOKENS = re.compile(r"REGISTRY_PASSWORD|GITHUB_TOKEN|GH_TOKEN|FORGEJO_TOKEN|GITEA_TOKEN|ACTIONS_\w*TOKEN\w*")
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_FRAMED = re.compile(r'level=(?:fatal|error) msg="(.*)"$')
_MAX_LINE = 1 << 16
_KEPT_LINES = 200
_GRACE = 5.0


class ProgramError(LocalError):
    """A program is missing, or failed. *said* is the end of what it wrote to standard error."""

    code = "images.program"

    def __init__(self, message: str, *, said: str = "", place: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, place=place, hint=hint)
        self.said = said


def environment(secret: str | None = None, **more: str) -> dict[str, str]:
    """Return the environment of programs: that of the job without its tokens, and without what equals *secret*."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not _TOKENS.fullmatch(name) and not (secret and value == secret)
    }
    return {**kept, "LC_ALL": "C.UTF-8", **more}


def ask(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None, deadline: float = 600.0) -> bytes:
    """Run a program and return its standard output. Raises `ProgramError`; *deadline* is in seconds.

    It ends with us, and so does what it started.
    """
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise _missing(argv[0], error) from error
    with process:
        try:
            output, errors = process.communicate(timeout=deadline)
        except subprocess.TimeoutExpired as error:
            raise ProgramError(f"gave no answer within {deadline:g} seconds", said="timeout", place=argv[0]) from error
        finally:
            # What it started may hold the pipes open, which `with` waits for.
            _signal(process, signal.SIGKILL)
    if process.returncode != 0:
        said = errors.decode(errors="replace")
        raise ProgramError(errors_in(said), said=said, place=argv[0])
    return output


def watch(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, deadline: float, hide: str | None = None) -> None:
    """Run a program and pass on what it says, line by line, to standard error. Raises `ProgramError`.

    It ends with us, and so does what it started: whatever ends this function ends its whole process group. *hide* is
    a text that is never passed on; *deadline* is in seconds.
    """
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise _missing(argv[0], error) from error
    output = cast("IO[bytes]", process.stdout)  # there is one: it was asked for
    late = threading.Event()

    def too_late() -> None:
        late.set()
        _signal(process, signal.SIGKILL)

    timer = threading.Timer(deadline, too_late)
    timer.daemon = True
    kept: deque[str] = deque(maxlen=_KEPT_LINES)
    try:
        timer.start()
        while raw := output.readline(_MAX_LINE):
            line = raw.decode(errors="replace")
            if hide:
                line = line.replace(hide, "***")
            kept.append(line)
            sys.stderr.write(line)
        code = process.wait()
    finally:
        timer.cancel()
        _end(process)
    if late.is_set():
        raise ProgramError(f"did not end within {deadline:g} seconds", said="timeout", place=argv[0])
    if code != 0:
        said = "".join(kept)
        raise ProgramError(errors_in(said), said=said, place=argv[0])


def errors_in(log: str) -> str:
    """Return what a program called errors, as one line; else the end of what it said."""
    lines = [text for line in _COLOURS.sub("", log).splitlines() if (text := line.strip())]
    errors = [line for line in lines if re.search(r"\berror:|level=(?:fatal|error)", line) and line != "error:"]
    said = "; ".join(_plain(line) for line in errors[-3:]) or " ".join(lines[-3:])
    return excerpt(said, 600) or "failed and said nothing"


def _plain(line: str) -> str:
    """Return what a line says, without the frame that Nix or skopeo puts around it."""
    framed = _FRAMED.search(line)
    return framed[1].replace('\\"', '"') if framed else line.removeprefix("error:").strip()


def _missing(program: str, error: OSError) -> ProgramError:
    return ProgramError(
        f"cannot be run: {error.strerror}", place=program, hint="it is part of `nix develop`; or install it"
    )


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Signal the group that *process* leads; it may be gone."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the group: asked first, then not asked."""
    if process.stdout is not None:
        process.stdout.close()
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()
    _signal(process, signal.SIGKILL)
