"""One run of ffmpeg: started here and nowhere else. What it writes arrives as bytes, reports and last words."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from typing import TYPE_CHECKING, Protocol

from ec_closure.decoding import excerpt
from ec_node.errors import ProgramError
from ec_node.ffmpeg.progress import Progress, ProgressReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CHUNK = 1 << 18
_WORDS = 30
_LINE = 500
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "NIX_SSL_CERT_FILE", "FONTCONFIG_FILE")


class Listener(Protocol):
    """Who is told of what a run does."""

    def data(self, chunk: bytes) -> None:
        """Take bytes of its output."""

    def progress(self, report: Progress) -> None:
        """Take a report."""

    def end(self) -> None:
        """Take note that no more bytes come."""


class Run:
    """A running ffmpeg. *words* are the last lines of what it said."""

    def __init__(self, process: asyncio.subprocess.Process, progress: int) -> None:
        self._process = process
        self._progress = progress
        self.words: deque[str] = deque(maxlen=_WORDS)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def follow(self, listener: Listener) -> int:
        """Hand on what it writes until it ends, and return its exit code; negative for a signal.

        What *listener* raises about the output ends the run, and is raised when it is gone.
        """
        words = asyncio.ensure_future(self._listen())
        reports = asyncio.ensure_future(self._reports(listener.progress))
        try:
            output = self._process.stdout
            while output is not None and (chunk := await output.read(_CHUNK)):
                listener.data(chunk)
            listener.end()
        except BaseException:
            self.send(signal.SIGKILL)
            raise
        finally:
            code = await self._process.wait()
            await asyncio.gather(words, reports)
        return code

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self._process.returncode is None:
            self._process.send_signal(number)

    async def _listen(self) -> None:
        stream = self._process.stderr
        while stream is not None:
            try:
                line = await stream.readline()
            except ValueError:  # longer than the stream's limit
                continue
            if not line:
                return
            self.words.append(excerpt(line.decode(errors="replace").strip(), _LINE))

    async def _reports(self, told: Callable[[Progress], None]) -> None:
        reader = ProgressReader()
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader()
        with os.fdopen(self._progress, "rb", buffering=0) as pipe:
            transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
            try:
                while data := await stream.read(1 << 14):
                    for report in reader.feed(data):
                        told(report)
            finally:
                transport.close()


async def start(command: Callable[[int], Sequence[str]]) -> Run:
    """Start what *command* returns when it is given a descriptor for progress. Raises `ProgramError`."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    words = list(command(writing))
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(writing,),
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            limit=4 * _CHUNK,
        )
    except OSError as error:
        os.close(reading)
        raise missing(words[0], error) from error
    finally:
        os.close(writing)
    return Run(process, reading)


async def output(words: Sequence[str], *, seconds: float, limit: int) -> tuple[int, bytes, list[str]]:
    """Run a program to its end, and return exit code, at most *limit* bytes of output, and the last lines it said.

    Raises `ProgramError`, and `TimeoutError` after *seconds*; it is ended then.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        )
    except OSError as error:
        raise missing(words[0], error) from error
    try:
        async with asyncio.timeout(seconds):
            out, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = [excerpt(line, _LINE) for line in said.decode(errors="replace").splitlines()[-_WORDS:]]
    return process.returncode or 0, out[:limit], lines


def missing(program: str, error: OSError) -> ProgramError:
    """Return the error for a program that could not be started."""
    return ProgramError(
        (error.strerror or str(error)).lower(),
        place=program,
        hint="install ffmpeg, or name it under [ffmpeg] in ec-node.toml",
    )
