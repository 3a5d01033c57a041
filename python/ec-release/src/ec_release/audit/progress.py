"""What an audit looks at, on a terminal; elsewhere nothing."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def names(title: str) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows the name of what is looked at, beside *title*."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(escape(title)) as status:
        yield lambda name: status.update(escape(f"{title}: {name}"))
