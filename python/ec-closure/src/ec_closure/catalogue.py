"""Catalogues of findings, as people read them."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Entry(Protocol):
    """What is the same for every occurrence of a finding."""

    @property
    def code(self) -> str:
        """Two letters, and three digits of which the first is the area."""

    @property
    def title(self) -> str:
        """What is wrong."""

    @property
    def severity(self) -> str:
        """How bad it is, unless somebody says otherwise."""

    @property
    def hint(self) -> str:
        """What to do."""


def render(head: str, entries: Iterable[Entry], areas: Mapping[str, str], *, severity: str) -> str:
    """Return *entries*, sorted by code, as Markdown below *head*, grouped by what the first digit of a code says.

    *severity* is what the document calls it.
    """
    parts = [head]
    for area, group in groupby(entries, key=lambda entry: entry.code[:3]):
        parts.append(f"\n## {area}xx: {areas[area]}\n")
        parts += [f"\n### {one.code}: {one.title}\n\n{severity}: **{one.severity}**. {one.hint}\n" for one in group]
    return "".join(parts)
