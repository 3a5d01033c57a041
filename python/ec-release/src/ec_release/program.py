"""Running nix, git and skopeo: the only module that starts programs.

They have the machine's settings and the user's caches, and no secrets but a file's: what is run is code of the
repository that is published. Tokens of the job are taken out of its environment; command lines hold none, since every
process of the machine may read them. What we start ends with us, and so does what it started.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

from ec_closure.decoding import excerpt
from ec_closure.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

_TOKENS = re.compile(r"REGISTRY_PASSWORD|GITHUB_TOKEN|GH_TOKEN|FORGEJO_TOKEN|GITEA_TOKEN|ACTIONS_\w*TOKEN\w*")
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# Since 2.30 Nix says in a line of its own what a builder did wrong.
_ERROR = re.compile(r"\berror:|^Reason:|level=(?:fatal|error)")
_FRAMED = re.compile(r'level=(?:fatal|error) msg="(.*)"$')
_MAX_ERRORS = 4
_MAX_SAID = 600
_MAX_LINE = 1 << 16
_KEPT_LINES = 200
_GRACE = 5.0


class ProgramError(LocalError):
    """A program is missing, or failed."""

    code = "program"


class FailedError(ProgramError):
    """A program ran, and failed. *said* is the end of what it wrote to standard error."""

    def __init__(self, message: str, *, said: str = "", place: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, place=place, hint=hint)
        self.said = said


class TooLateError(FailedError):
    """A program did not end in time, and was ended."""


@dataclass(frozen=True)
class Answer:
    """What a program that succeeded wrote: *output*, and to standard error *said*."""

    output: bytes
    said: str


def environment(secret: str | None = None, **more: str) -> dict[str, str]:
    """Return the environment of programs: that of the job without its tokens, and without what equals *secret*."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not _TOKENS.fullmatch(name) and not (secret and value == secret)
    }
    return {**kept, "LC_ALL": "C.UTF-8", **more}


def ask(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stdin: bytes | None = None,
    deadline: float | None = 600.0,
) -> Answer:
    """Run a program on *stdin* and return its answer. *deadline* is in seconds.

    Raises `FailedError`; `ProgramError` when it cannot be run.
    """
    with _started(
        argv,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        cwd=cwd,
    ) as process:
        try:
            output, errors = process.communicate(stdin, timeout=deadline)
        except subprocess.TimeoutExpired as error:
            raise TooLateError(f"gave no answer within {deadline:g} seconds", said="timeout", place=argv[0]) from error
    said = errors.decode(errors="replace")
    if process.returncode != 0:
        raise FailedError(errors_in(said), said=said, place=argv[0])
    return Answer(output, said)


def watch(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    deadline: float | None = None,
    log: TextIO | None = None,
    with_output: bool = True,
    hide: str | None = None,
) -> None:
    """Run a program and pass on what it says, line by line, to *log* (None: to standard error).

    Its output is passed on likewise, or is dropped. *hide* is a text that is never passed on; *deadline* is in seconds.
    Raises `FailedError`; `ProgramError` when it cannot be run.
    """
    to = sys.stderr if log is None else log
    late = threading.Event()
    kept: deque[str] = deque(maxlen=_KEPT_LINES)
    with _started(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if with_output else subprocess.DEVNULL,
        stderr=subprocess.STDOUT if with_output else subprocess.PIPE,
        env=env,
        cwd=cwd,
    ) as process:
        # There is one of them: it was asked for.
        said = cast("IO[bytes]", process.stdout or process.stderr)
        with _alarm(deadline, process, late):
            while raw := said.readline(_MAX_LINE):
                line = raw.decode(errors="replace")
                if hide:
                    line = line.replace(hide, "***")
                kept.append(line)
                to.write(line)
            code = process.wait()
    if late.is_set():
        raise TooLateError(f"did not end within {deadline:g} seconds", said="timeout", place=argv[0])
    if code != 0:
        log_end = "".join(kept)
        raise FailedError(errors_in(log_end), said=log_end, place=argv[0])


def errors_in(log: str) -> str:
    """Return what a program called errors, as one line; else the end of what it said."""
    lines = [text for line in _COLOURS.sub("", log).splitlines() if (text := line.strip())]
    errors = [line for line in lines if _ERROR.search(line) and line != "error:"]
    said = "; ".join(_plain(line) for line in errors[-_MAX_ERRORS:]) or " ".join(lines[-3:])
    return excerpt(said, _MAX_SAID) or "failed and said nothing"


def _plain(line: str) -> str:
    """Return what a line says, without the frame that Nix or skopeo puts around it."""
    framed = _FRAMED.search(line)
    return framed[1].replace('\\"', '"') if framed else line.removeprefix("error:").strip()


@contextmanager
def _started(
    argv: Sequence[str], *, stdin: int, stdout: int, stderr: int, env: Mapping[str, str], cwd: Path | None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program that leads a process group of its own; whatever ends the block ends the group."""
    try:
        process = subprocess.Popen(
            argv, stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=cwd, start_new_session=True
        )
    except OSError as error:
        raise ProgramError(
            f"cannot be run: {error.strerror}", place=argv[0], hint="it is part of `nix develop`; or install it"
        ) from error
    try:
        yield process
    finally:
        _end(process)


@contextmanager
def _alarm(deadline: float | None, process: subprocess.Popen[bytes], late: threading.Event) -> Iterator[None]:
    """Kill the group of *process*, and set *late*, when the block takes longer than *deadline* seconds."""

    def ring() -> None:
        late.set()
        _signal(process, signal.SIGKILL)

    if deadline is None:
        yield
        return
    timer = threading.Timer(deadline, ring)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Signal the group that *process* leads; it may be gone."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the group: asked first, then not asked."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()
    _signal(process, signal.SIGKILL)
