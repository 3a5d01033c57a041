"""How Forgejo's reading of a workflow differs from GitHub's: the keys that its runner takes, as it refuses all others.

Taken from the runner's own description of the format (`act/schema` of forgejo-runner, December 2025). What is the
same in both is GitHub's schema's business: a workflow of ours must pass both.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


WORKFLOW = _words("""
concurrency defaults description enable-email-notifications env jobs name on permissions run-name
""")
JOB = _words("""
cancel-timeout-minutes concurrency container continue-on-error defaults env environment if name needs outputs
permissions runs-on services steps strategy timeout-minutes
""")
CALL = frozenset(
    ["concurrency", "container", "if", "name", "needs", "permissions", "runs-on", "secrets", "strategy", "uses", "with"]
)
RUN = frozenset(
    ["continue-on-error", "env", "id", "if", "name", "run", "shell", "timeout-minutes", "working-directory"]
)
USE = frozenset(["continue-on-error", "env", "id", "if", "name", "timeout-minutes", "uses", "with"])
ACTION = frozenset({"description", "inputs", "name", "outputs", "runs"})
PERMISSIONS = _words("""
actions attestations checks contents deployments discussions id-token issues packages pages pull-requests
repository-projects security-events statuses
""")
# Of those that the description lists, the ones that Forgejo itself fires.
EVENTS = _words("""
create delete fork issue_comment issues pull_request pull_request_comment pull_request_review
pull_request_review_comment pull_request_target push release schedule workflow_call workflow_dispatch
""")


def refused(data: dict[str, Any]) -> Iterator[str]:
    """Yield what Forgejo's runner would refuse in a workflow or an action."""
    if "runs" in data:
        yield from _keys("action", data, ACTION)
        for number, step in enumerate(data["runs"].get("steps", [])):
            yield from _keys(f"runs.steps[{number}]", step, RUN if "run" in step else USE)
        return
    yield from _keys("workflow", data, WORKFLOW)
    events = data.get("on", {})
    yield from _keys("on", {events: None} if isinstance(events, str) else events, EVENTS)
    yield from _keys("permissions", data.get("permissions") or {}, PERMISSIONS)
    for name, job in data.get("jobs", {}).items():
        yield from _keys(f"jobs.{name}", job, CALL if "uses" in job else JOB)
        yield from _keys(f"jobs.{name}.permissions", job.get("permissions") or {}, PERMISSIONS)
        if "runs-on" not in job:
            yield f"jobs.{name}: Forgejo asks for runs-on, also where a workflow is called"
        for number, step in enumerate(job.get("steps", [])):
            yield from _keys(f"jobs.{name}.steps[{number}]", step, RUN if "run" in step else USE)


def _keys(place: str, data: Any, known: frozenset[str]) -> Iterator[str]:
    yield from (f"{place}: Forgejo has no {key}" for key in sorted(set(data) - known))


def as_github_reads(data: dict[str, Any]) -> dict[str, Any]:
    """Return a workflow without what Forgejo alone has."""
    rest = deepcopy(data)
    for key in ("description", "enable-email-notifications"):
        rest.pop(key, None)
    for job in rest.get("jobs", {}).values():
        if "uses" in job:
            job.pop("runs-on", None)
        job.pop("cancel-timeout-minutes", None)
    return rest
