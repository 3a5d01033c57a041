"""What workflows refer to is there: steps, jobs, outputs, inputs, and the rights that a called workflow needs.

Forges take what is not there for empty, and say nothing: a condition on it is false, a name made of it is short.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.workflows.documents import ROOT, Document, read

if TYPE_CHECKING:
    from collections.abc import Iterator

_INNER = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_NAME = r"([A-Za-z_][\w-]*)"
_STEPS = re.compile(rf"(?<![\w.])steps\.{_NAME}")
_NEEDS = re.compile(rf"(?<![\w.])needs\.{_NAME}(?:\.outputs\.{_NAME})?")
_INPUTS = re.compile(rf"(?<![\w.])inputs\.{_NAME}")
_LEVELS = {"none": 0, "read": 1, "write": 2}


def dangling(document: Document) -> Iterator[str]:
    """Yield references to steps, jobs, outputs and inputs that are not there."""
    known = set(_inputs(document))
    for text in _expressions(document.data):
        yield from (
            f"{document.name}: inputs.{name} is not declared" for name in _INPUTS.findall(text) if name not in known
        )
    if document.is_action:
        yield from _of_steps(document, document.data["runs"].get("steps", []), document.data.get("outputs", {}))
    for name, job in document.jobs.items():
        needs = job.get("needs", [])
        needs = {needs} if isinstance(needs, str) else set(needs)
        yield from (f"{document.name}: jobs.{name} needs {missing}" for missing in sorted(needs - document.jobs.keys()))
        yield from _of_steps(document, job.get("steps", []), job.get("outputs", {}))
        for text in _expressions(job):
            for other, output in _NEEDS.findall(text):
                if other not in needs:
                    yield f"{document.name}: jobs.{name} speaks of {other}, and does not need it"
                elif output and output not in _outputs(document.jobs.get(other, {})):
                    yield f"{document.name}: jobs.{other} has no output {output}"


def wrong_calls(document: Document) -> Iterator[str]:
    """Yield calls of our own workflows and actions with unknown inputs, or with too few inputs or rights."""
    for step in document.used():
        called = _called(step.data["uses"])
        if called is None:
            continue
        declared, given = _inputs(called), step.data.get("with", {})
        yield from (
            f"{step.place}: {called.name} has no input {name}" for name in sorted(given.keys() - declared.keys())
        )
        yield from (
            f"{step.place}: {called.name} needs {name}"
            for name, what in declared.items()
            if (what or {}).get("required") and "default" not in what and name not in given
        )
        held = step.data.get("permissions", {})
        for name, job in called.jobs.items():
            for right, level in job.get("permissions", {}).items():
                if _LEVELS[level] > _LEVELS[held.get(right, "none")]:
                    yield f"{step.place}: jobs.{name} of {called.name} needs {right}: {level}"


def _of_steps(document: Document, steps: list[Any], outputs: Any) -> Iterator[str]:
    seen: set[str] = set()
    for step in steps:
        yield from _unseen(document, step, seen)
        if "id" in step:
            seen.add(step["id"])
    yield from _unseen(document, outputs, seen)


def _unseen(document: Document, node: Any, seen: set[str]) -> Iterator[str]:
    for text in _expressions(node):
        yield from (
            f"{document.name}: no step before has the id {name}" for name in _STEPS.findall(text) if name not in seen
        )


def _inputs(document: Document) -> dict[str, Any]:
    """Return what a document may be given."""
    if document.is_action:
        return document.data.get("inputs") or {}
    on = document.data.get("on", {})
    calls = [on.get(event) or {} for event in ("workflow_call", "workflow_dispatch")] if isinstance(on, dict) else []
    return {name: what for call in calls for name, what in (call.get("inputs") or {}).items()}


def _outputs(job: dict[str, Any]) -> dict[str, Any]:
    """Return what a job gives: its own outputs, or those of the workflow that it is."""
    called = _called(job.get("uses", ""))
    if called is None:
        return job.get("outputs", {})
    return (called.data["on"]["workflow_call"] or {}).get("outputs", {})


def _called(uses: str) -> Document | None:
    """Return our own workflow or action that is called, or None where it is somebody else's, or not there."""
    if not uses.startswith(("./", "$/")):
        return None
    path = ROOT / uses[2:]
    file = path if path.suffix in (".yml", ".yaml") else path / "action.yml"
    return read(file) if file.is_file() else None


def _expressions(node: Any, key: str = "") -> Iterator[str]:
    """Yield every expression below *node*: in `${{ }}`, or the whole of an `if:`."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _expressions(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from _expressions(value)
    elif isinstance(node, str):
        yield from [node] if key == "if" else _INNER.findall(node)
