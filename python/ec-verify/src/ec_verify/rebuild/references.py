"""What a set of store paths reaches through references. Pure; explicit stacks, no recursion."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Reach:
    """Answers, for any store path, which *marked* paths lie in its closure. Remembers its answers."""

    def __init__(self, references: Mapping[str, Iterable[str]], marked: Iterable[str]) -> None:
        self._references = references
        self._marked = frozenset(marked)
        self._known: dict[str, frozenset[str]] = {}

    def of(self, paths: Iterable[str]) -> frozenset[str]:
        """Return the marked paths in the closure of *paths*, themselves included."""
        found: set[str] = set()
        for path in paths:
            found |= self._one(path)
        return frozenset(found)

    def _one(self, start: str) -> frozenset[str]:
        stack = [(start, False)]
        while stack:
            path, expanded = stack.pop()
            if path in self._known:
                continue
            below = [reference for reference in self._references.get(path, ()) if reference != path]
            if expanded:
                own = {path} & self._marked
                self._known[path] = frozenset(own.union(*(self._known.get(one, frozenset()) for one in below)))
                continue
            stack.append((path, True))
            stack.extend((reference, False) for reference in below if reference not in self._known)
        return self._known[start]


def first_reason(
    paths: Iterable[str], references: Mapping[str, Iterable[str]], reason: Callable[[str], str | None]
) -> str | None:
    """Return the first *reason* that a path in the closure of *paths* gives, or None when none does."""
    seen = set(paths)
    stack = sorted(seen, reverse=True)
    while stack:
        path = stack.pop()
        found = reason(path)
        if found is not None:
            return found
        fresh = {reference for reference in references.get(path, ()) if reference not in seen}
        seen |= fresh
        stack.extend(sorted(fresh, reverse=True))
    return None
