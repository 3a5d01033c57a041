"""The access token of a release server: read from a file, never from a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_fetch.errors import TokenError

if TYPE_CHECKING:
    from pathlib import Path

_MAX_LENGTH = 4096


def read_token(path: Path) -> str:
    """Return the token in the file at *path*, white space around it removed. Raises `TokenError`."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_LENGTH + 1).strip()
    except OSError as error:
        raise TokenError(
            f"cannot be read: {error.strerror}", place=str(path), hint="check `trust.token_file` and its mode"
        ) from error
    # The token becomes a header: a line break in it would let the file write further headers.
    if not raw or len(raw) > _MAX_LENGTH or not all(0x21 <= byte <= 0x7E for byte in raw):  # noqa: PLR2004 - printable ASCII
        raise TokenError(
            "does not hold one line of printable characters", place=str(path), hint="write the token alone"
        )
    return raw.decode("ascii")
