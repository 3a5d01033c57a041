"""Who in a manifest depends on a path, and through whom a path inherits. Pure; explicit stacks."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ec_closure.explanation import Dependents

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ec_closure.manifest import Manifest
    from ec_closure.report import PathVerdict

_LISTED = 20
_BECAUSE = ("inherited", "corrupt", "unbuildable")


def dependents(manifest: Manifest, path: str, verdicts: Mapping[str, PathVerdict]) -> Dependents:
    """Count those that refer to *path* in *manifest*; name those that inherit, if *path* itself is not as signed."""
    above: dict[str, list[str]] = {}
    for record in manifest.paths:
        for reference in manifest.references_of(record):
            if reference != record.path:
                above.setdefault(reference, []).append(record.path)
    seen = {path}
    todo = [path]
    while todo:
        for found in above.get(todo.pop(), ()):
            if found not in seen:
                seen.add(found)
                todo.append(found)
    guilty = verdicts.get(path) in ("unreproducible", "corrupt", "missing", "unbuildable", "inherited")
    affected = sorted(one for one in seen - {path} if guilty and verdicts.get(one) in _BECAUSE)
    return Dependents(direct=len(above.get(path, ())), transitive=len(seen) - 1, affected=tuple(affected[:_LISTED]))


def chain(manifest: Manifest, path: str, causes: Iterable[str]) -> tuple[str, ...]:
    """Return the shortest way through references from *path* to one of *causes*, both included; empty without one."""
    wanted = set(causes)
    records = {record.path: record for record in manifest.paths}
    came_from: dict[str, str | None] = {path: None}
    todo = deque([path])
    while todo:
        current = todo.popleft()
        if current in wanted and current != path:
            way: list[str] = []
            step: str | None = current
            while step is not None:
                way.append(step)
                step = came_from[step]
            return tuple(reversed(way))
        record = records.get(current)
        for reference in manifest.references_of(record) if record is not None else ():
            if reference not in came_from:
                came_from[reference] = current
                todo.append(reference)
    return ()
