"""Starting a holder, and running programs inside what it holds."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ec_verify.errors import GhostError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

# Seconds that the kernel may take to end what runs inside.
_PATIENCE = 30
_HOLDER = Path(__file__).with_name("holder.py")


class Namespace:
    """A mount, PID, IPC and network namespace; a context manager.

    Raises `GhostError` when the kernel, or a security policy, does not allow it. Leaving it (or
    dying) removes everything: mounts and processes.
    """

    def __init__(self) -> None:
        self.user = os.geteuid() != 0
        nsenter = shutil.which("nsenter")
        if nsenter is None:
            raise GhostError("nsenter is not on the PATH", hint="it is part of util-linux")
        self._nsenter = nsenter
        self.pid = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(_HOLDER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            self.pid = self._ask({"user": self.user})["pid"]
            self.perform([{"do": "proc"}])
        except BaseException:
            self.close()
            raise
        return self

    def perform(self, steps: Sequence[dict[str, Any]]) -> None:
        """Carry out *steps* inside (see `holder.perform`). Raises `GhostError` with the kernel's word."""
        self._ask(list(steps))

    def _ask(self, request: object) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise GhostError("the namespace is closed")
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the holder ended"}
        if "error" in answer:
            raise GhostError(
                f"no private namespace: {answer['error']}",
                hint="root, or unprivileged user namespaces with overlayfs, are needed",
            )
        return answer

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything inside, and wait until it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        # Not `wait(timeout=…)`, which looks again and again, after longer and longer pauses.
        descriptor = os.pidfd_open(process.pid)
        try:
            if not select.select([descriptor], [], [], _PATIENCE)[0]:
                process.kill()
        finally:
            os.close(descriptor)
        process.wait()

    def command(self, argv: Sequence[str], *, network: bool) -> list[str]:
        """Return *argv* as a command that runs inside; without *network* it has not even loopback."""
        options = ["--target", str(self.pid), "--mount", "--root", "--pid", "--ipc"]
        if not network:
            options.append("--net")
        if self.user:
            options += ["--user", "--preserve-credentials"]
        return [self._nsenter, *options, "--", *argv]

    def view(self, path: Path) -> Path:
        """Return *path* as seen inside, for reading from outside."""
        return Path(f"/proc/{self.pid}/root") / str(path).lstrip("/")
