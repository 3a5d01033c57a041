"""Matrices: which runs a job has."""

from __future__ import annotations

from typing import Any

import pytest

from ec_release.authority import matrix, yaml_nodes
from ec_release.authority.scope import Scope
from ec_release.authority.yaml_nodes import Mapping


def runs(text: str, **inputs: tuple[Any, ...]) -> list[dict[str, Any] | None]:
    """Return the matrix of each run."""
    node = yaml_nodes.read(text.encode(), what="x")
    assert isinstance(node, Mapping)
    return matrix.combinations(node, Scope(inputs=inputs))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("fail-fast: true", [{}]),
        ("matrix: {a: [x, y]}", [{"a": "x"}, {"a": "y"}]),
        ("matrix: {a: [x, y], b: [true, '1']}", [
            {"a": "x", "b": True}, {"a": "x", "b": "1"}, {"a": "y", "b": True}, {"a": "y", "b": "1"},
        ]),
        ("matrix: {a: [x, y], exclude: [{a: x}]}", [{"a": "y"}]),
        ("matrix: {a: [x, y], b: [z], exclude: [{a: x, b: q}]}", [{"a": "x", "b": "z"}, {"a": "y", "b": "z"}]),
        ("matrix: {include: [{a: x}, {b: y}]}", [{"a": "x"}, {"b": "y"}]),
        ("matrix: {a: [x, y], include: [{a: x, b: z}]}", [{"a": "x", "b": "z"}, {"a": "y"}]),
        ("matrix: {a: [x], include: [{b: z}]}", [{"a": "x", "b": "z"}]),
        ("matrix: {a: [x], include: [{a: q, b: z}]}", [{"a": "x"}, {"a": "q", "b": "z"}]),
        ("matrix: {a: [{k: v}]}", [{"a": {"k": "v"}}]),
        ("matrix: >-\n  ${{ fromJSON('{\"a\": [\"x\"]}') }}", [{"a": "x"}]),
        ("matrix: {a: \"${{ fromJSON('[1, 2]') }}\"}", [{"a": 1.0}, {"a": 2.0}]),
        ("matrix: ${{ fromJSON(needs.x.outputs.y) }}", [None]),
        ('matrix: {a: "${{ github.x }}"}', [None]),
        ('matrix: {include: "${{ github.x }}"}', [None]),
        ("matrix: {a: ['${{ inputs.c }}']}", [{"a": "p"}]),
    ],
)  # fmt: skip
def test_a_job_runs_for_each_combination(text: str, found: list[dict[str, Any] | None]) -> None:
    """Axes multiply, `exclude` takes away, `include` adds to what fits or makes one more; None cannot be told."""
    assert found == runs(text, c=("p",))


def test_more_than_a_forge_starts_cannot_be_told() -> None:
    """They are not gone through."""
    axis = f"[{', '.join(map(str, range(20)))}]"

    assert runs(f"matrix: {{a: {axis}, b: {axis}}}") == [None]
