"""What a set of store paths reaches through references. Pure; explicit stacks, no recursion."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Reach:
    """Answers which *marked* paths lie in the closure of others. References may form cycles."""

    def __init__(self, references: Mapping[str, Iterable[str]], marked: Iterable[str]) -> None:
        self._references = references
        self._marked = frozenset(marked)

    def of(self, paths: Iterable[str]) -> frozenset[str]:
        """Return the marked paths in the closure of *paths*, themselves included."""
        if not self._marked:
            return frozenset()
        seen = set(paths)
        stack = list(seen)
        while stack:
            fresh = {reference for reference in self._references.get(stack.pop(), ()) if reference not in seen}
            seen |= fresh
            stack.extend(fresh)
        return self._marked & seen


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
