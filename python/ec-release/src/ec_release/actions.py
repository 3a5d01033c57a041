"""What a runner takes from a step: values for later steps, and what people read on the run's page.

Both are files that the runner names (GITHUB_OUTPUT, GITHUB_STEP_SUMMARY); elsewhere nothing is written.
"""

from __future__ import annotations

import html
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from ec_closure.decoding import excerpt
from ec_closure.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MAX_OUTPUT = 900_000  # GitHub: 1 MiB for all outputs of a job, counted in UTF-16
_MAX_SUMMARY = 900_000  # GitHub: 1 MiB a step
_MAX_CELL = 300


def set_outputs(values: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> None:
    """Give *values* to later steps, where a runner listens. Raises `LimitError`, `OSError`.

    Each stands between delimiters that nobody can guess, so that no value ends itself and begins another.
    """
    if sum(len(value.encode("utf-16-le")) for value in values.values()) > _MAX_OUTPUT:
        raise LimitError(f"the outputs are larger than the {_MAX_OUTPUT >> 10} KiB that a runner takes")
    if file := environ.get("GITHUB_OUTPUT"):
        text = ""
        for name, value in values.items():
            delimiter = f"ec-{secrets.token_hex(16)}"
            text += f"{name}<<{delimiter}\n{value}\n{delimiter}\n"
        _append(Path(file), text)


def add_summary(markdown: str, environ: Mapping[str, str] = os.environ) -> None:
    """Show *markdown* on the page of the run, where there is one. Raises `OSError`."""
    if file := environ.get("GITHUB_STEP_SUMMARY"):
        _append(Path(file), markdown)


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown; cells are shown as they are, whatever is in them. Too long a table is cut."""
    lines = [f"### {cell(title)}", "", _line(head), _line(["---"] * len(head))]
    room = _MAX_SUMMARY - sum(map(len, lines))
    for number, row in enumerate(rows):
        line = _line([cell(text) for text in row])
        room -= len(line.encode()) + 1
        if room < 0:
            lines += ["", f"and {len(rows) - number} more"]
            break
        lines.append(line)
    return "\n".join(lines) + "\n\n"


def cell(text: str) -> str:
    """Return *text* so that it stands in a cell as itself: no markup, no line, no link."""
    shown = html.escape(excerpt(text, _MAX_CELL), quote=False)
    return "".join(f"&#{ord(one)};" if one in "|`*_[]\\~!@#:" else one for one in shown)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _append(file: Path, text: str) -> None:
    with file.open("a", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
