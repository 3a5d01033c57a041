"""Progress of long work on standard error: a bar where a person watches, nothing elsewhere."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LONG = 16 << 20


@contextmanager
def of_bytes(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that is told each number of bytes done, of *total*."""
    if not sys.stderr.isatty():
        yield _nothing
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(escape(title), total=total)
        yield lambda amount: bar.advance(task, amount)


def drawn(title: str, total: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield *chunks*, of *total* bytes together, and draw how far they got. What is short is not drawn."""
    if total < _LONG:
        yield from chunks
        return
    with of_bytes(title, total) as advance:
        for chunk in chunks:
            yield chunk
            advance(len(chunk))


def _nothing(_amount: int) -> None:
    """Nobody watches."""
