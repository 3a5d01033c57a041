"""An upload as a form with one file: streamed, with its exact length announced."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ec_release.errors import AssetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _boundary() -> str:
    return f"ec-release-{secrets.token_hex(16)}"


@dataclass(frozen=True)
class Form:
    """The file *name* of *size* bytes as a form (RFC 7578). *chunks* gives its bytes, anew for each attempt.

    *name* must need no quoting. Iterating raises `AssetError` when there are more or fewer bytes than announced.
    """

    name: str
    size: int
    chunks: Callable[[], Iterator[bytes]]
    boundary: str = field(default_factory=_boundary)

    @property
    def length(self) -> int:
        """The length of the whole form in bytes."""
        return len(self._head) + self.size + len(self._tail)

    @property
    def headers(self) -> dict[str, str]:
        """Type and length, so that nothing needs to be sent in chunks or held in memory."""
        return {
            "content-type": f"multipart/form-data; boundary={self.boundary}",
            "content-length": str(self.length),
        }

    @property
    def _head(self) -> bytes:
        return (
            f"--{self.boundary}\r\n"
            f'Content-Disposition: form-data; name="attachment"; filename="{self.name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode("ascii")

    @property
    def _tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode("ascii")

    def __iter__(self) -> Iterator[bytes]:
        """Yield the form."""
        yield self._head
        sent = 0
        for chunk in self.chunks():
            sent += len(chunk)
            if sent > self.size:
                break
            yield chunk
        if sent != self.size:
            raise AssetError("changed while it was published: its length is another now", place=self.name)
        yield self._tail
