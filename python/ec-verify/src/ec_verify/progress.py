"""Progress on standard error: bars where a person watches, plain lines elsewhere, silence on request."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

from ec_verify.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress as RichBar
    from rich.progress import TaskID


class Stage(Protocol):
    """One stage that is under way."""

    def total(self, amount: int) -> None:
        """Say how much there is to do."""

    def advance(self, amount: int = 1) -> None:
        """Say that *amount* more is done."""

    def note(self, text: str) -> None:
        """Show what is being worked on."""


class Progress(Protocol):
    """Draws stages."""

    @contextmanager
    def stage(self, title: str, *, unit: str = "") -> Iterator[Stage]:
        """Open a stage; it is closed when the block ends."""


class _Still:
    def total(self, amount: int) -> None:
        """Nothing to draw."""

    def advance(self, amount: int = 1) -> None:
        """Nothing to draw."""

    def note(self, text: str) -> None:
        """Nothing to draw."""


class Silent:
    """Draws nothing."""

    @contextmanager
    def stage(self, title: str, *, unit: str = "") -> Iterator[Stage]:  # noqa: ARG002 - the protocol's signature
        """Open a stage that nobody sees."""
        yield _Still()


class Plain(Silent):
    """One line when a stage begins; for logs and pipes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    @contextmanager
    def stage(self, title: str, *, unit: str = "") -> Iterator[Stage]:  # noqa: ARG002 - the protocol's signature
        """Write the title as a line."""
        self._stream.write(f"{title}\n")
        self._stream.flush()
        yield _Still()


class _Bar:
    def __init__(self, bar: RichBar, task: TaskID, title: str) -> None:
        self._bar, self._task, self._title = bar, task, title

    def total(self, amount: int) -> None:
        self._bar.update(self._task, total=amount)

    def advance(self, amount: int = 1) -> None:
        self._bar.advance(self._task, amount)

    def note(self, text: str) -> None:
        from rich.markup import escape

        self._bar.update(self._task, description=f"{self._title} [dim]{escape(printable(text))}[/dim]")


class Bars:
    """Bars by rich, on a terminal."""

    @contextmanager
    def stage(self, title: str, *, unit: str = "") -> Iterator[Stage]:
        """Draw a bar while the block runs."""
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        amount = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
        columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            yield _Bar(bar, bar.add_task(title, total=None), title)


def choose(*, quiet: bool) -> Progress:
    """Return what suits standard error."""
    if quiet:
        return Silent()
    return Bars() if sys.stderr.isatty() else Plain()
