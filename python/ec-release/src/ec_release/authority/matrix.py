"""The combinations of a job's matrix: which values its runs have. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ec_release.authority.expressions import values_of
from ec_release.authority.values import MARK, Unknown, is_unknown
from ec_release.authority.yaml_nodes import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from ec_release.authority.expressions import Scope

MAX_COMBINATIONS = 256
"""GitHub's limit, too."""


def combinations(strategy: Mapping, scope: Scope) -> list[dict[str, Any] | None]:
    """Return the matrix of each run of a job; None stands for runs whose matrix cannot be told.

    A job without a matrix runs once, with an empty one. Raises `ExpressionError`.
    """
    node = strategy.get("matrix")
    if node is None:
        return [{}]
    found: list[dict[str, Any] | None] = []
    for matrix in plain(node, scope):
        found += _expanded(matrix) if isinstance(matrix, dict) else [None]
    return found[:MAX_COMBINATIONS] + ([None] if len(found) > MAX_COMBINATIONS else [])


def plain(node: Node, scope: Scope) -> list[Any]:
    """Return what a node may be, as values of JSON: `Unknown` where it cannot be told."""
    if isinstance(node, Scalar):
        return list(values_of(node.text, scope)) if MARK in node.text else [_typed(node)]
    if isinstance(node, Sequence):
        return [[_one(item, scope) for item in node.items]]
    return [{key: _one(item, scope) for key, item in node.items.items()}]


def _one(node: Node, scope: Scope) -> Any:
    values = plain(node, scope)
    return values[0] if len(values) == 1 else Unknown("one of several values")


def _typed(node: Scalar) -> Any:
    if not node.plain:
        return node.text
    if node.text in ("true", "false"):
        return node.text == "true"
    if node.text in ("", "null", "~"):
        return None
    return node.text


def _expanded(matrix: dict[str, Any]) -> list[dict[str, Any] | None]:
    axes = {key: values for key, values in matrix.items() if key not in ("include", "exclude")}
    if any(not isinstance(values, list) for values in axes.values()):
        return [None]
    include, exclude = matrix.get("include") or [], matrix.get("exclude") or []
    if not isinstance(include, list) or not all(isinstance(entry, dict) for entry in include):
        return [None]
    runs: list[dict[str, Any]] = [{}] if axes else []
    for key, values in axes.items():
        if len(runs) * len(values) > MAX_COMBINATIONS:
            return [None]
        runs = [run | {key: value} for run in runs for value in values]
    if isinstance(exclude, list):
        # What cannot be told excludes nothing.
        runs = [run for run in runs if not any(_excluded(run, entry) for entry in exclude)]
    added: list[dict[str, Any]] = []
    originals = [dict(run) for run in runs]
    for entry in include:
        fitting = [
            run
            for run, original in zip(runs, originals, strict=True)
            if all(key not in original or original[key] == value for key, value in entry.items())
        ]
        for run in fitting:
            run.update(entry)
        if not fitting:
            added.append(dict(entry))
    return [*runs, *added] or [{}]


def _excluded(run: dict[str, Any], entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and bool(entry)
        and all(key in run and run[key] == value and not is_unknown(value) for key, value in entry.items())
    )
