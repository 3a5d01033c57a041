"""Credentials in a file that only we can read, for as long as they are needed (docs/decisions/0020).

A command line is read by every process of the machine; a file in a directory of ours is not. It goes when the work
ends, also by an error or a signal; SIGKILL leaves it, below the runner's own directory, which the runner empties after
each job.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ec_closure.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

VARIABLE = "REGISTRY_PASSWORD"
_MAX_PASSWORD = 64 << 10
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Credentials:
    """Who pushes. The password stands in no text that is made of this."""

    username: str
    password: str = field(repr=False)


def read(username: str | None, password_file: Path | None) -> Credentials:
    """Return the credentials: the password from *password_file* or from REGISTRY_PASSWORD. Raises `UsageError`."""
    user = username or os.environ.get("GITHUB_ACTOR", "")
    if not user or ":" in user or not user.isprintable():
        raise UsageError("a user name is missing, or no registry takes it", hint="--username, or GITHUB_ACTOR")
    if password_file is None:
        password = os.environ.get(VARIABLE, "")
    else:
        try:
            with password_file.open("rb") as stream:
                password = stream.read(_MAX_PASSWORD).decode().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise UsageError(f"cannot be read: {reason}", place=str(password_file)) from error
    if not password:
        raise UsageError(
            "there is no password",
            hint=f"set {VARIABLE} or give --password-file; a command line is read by everybody",
        )
    return Credentials(user, password)


@contextmanager
def auth_file(registry: str, credentials: Credentials) -> Iterator[Path]:
    """Yield a file with *credentials* for *registry*, as skopeo reads it, in a new directory of ours.

    Within, signals that end a program raise `KeyboardInterrupt` once, so that the file goes and what was started ends.
    """
    encoded = base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()
    content = json.dumps({"auths": {registry: {"auth": encoded}}})
    with _signals_raise():
        directory = Path(tempfile.mkdtemp(prefix="ec-release-auth-", dir=os.environ.get("RUNNER_TEMP") or None))
        try:
            file = directory / "auth.json"
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(content)
            yield file
        finally:
            shutil.rmtree(directory)


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Let a signal interrupt us once; further ones would interrupt the cleaning up."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for one in _ENDING:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {one: signal.signal(one, interrupt) for one in _ENDING}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
