"""From workflows to what runs: jobs in the order of their needs, matrices, reusable workflows, composite actions. Pure.

What a runner would resolve is resolved here; what only a run can tell stays in texts as `${{ … }}`. A reference to this
very repository is read as the tree that is being looked at, whatever commit it is pinned to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ec_closure.errors import BadInputError
from ec_release.authority import matrix as matrices
from ec_release.authority import yaml_nodes
from ec_release.authority.expressions import condition, values_of
from ec_release.authority.runs import JobRun, Permissions, Trouble, WorkflowRun
from ec_release.authority.scope import Scope, as_type, folded
from ec_release.authority.sources import Files, Place
from ec_release.authority.steps import StepWalk
from ec_release.authority.values import Alternatives, Unknown
from ec_release.authority.yaml_nodes import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CALLS = 10
WORKFLOWS = (".github/workflows", ".forgejo/workflows", ".gitea/workflows")
_OWN_WORKFLOW = re.compile(r"(?:\./|(?P<repository>[^/\s]+/[^/\s]+)/)(?P<path>[^@\s]+)(?:@(?P<ref>\S+))?")


@dataclass
class Walk:
    """One walk over one repository, called *own* (`owner/name`) on its forge."""

    files: Files
    own: str
    troubles: list[Trouble] = field(default_factory=list)
    documents: dict[str, Mapping | None] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)

    def workflows(self) -> list[WorkflowRun]:
        """Return what every workflow of the repository may do by itself."""
        # Forges take workflows from the directory itself, not from ones below.
        found = [file for file in self.files.below(*WORKFLOWS) if file.rpartition("/")[0] in WORKFLOWS]
        return [self.workflow(file) for file in found if file.endswith((".yml", ".yaml"))]

    def workflow(self, file: str) -> WorkflowRun:
        """Return what one workflow may do when its events start it."""
        self.troubles = []
        document = self.document(file, ())
        events = events_of(document) if document else {}
        jobs: list[JobRun] = []
        own = tuple(event for event in events if event != "workflow_call")
        if document is not None and own:
            scope = Scope(events=own, inputs=dispatched(document, own))
            jobs, _ = self.jobs(document, file, scope, (), "", Permissions())
        return WorkflowRun(file, {event: events[event] for event in own}, tuple(jobs), tuple(self.troubles))

    def document(self, file: str, via: tuple[Place, ...]) -> Mapping | None:
        """Return a workflow or an action, or nothing where it cannot be read, which is a trouble."""
        if file not in self.documents:
            self.documents[file] = None
            try:
                node = yaml_nodes.read(self.files.texts[file], what=file)
            except BadInputError as error:
                self.trouble("RA902", Place(file, line_of(error.place)), error.message, via)
                return None
            if isinstance(node, Mapping):
                self.documents[file] = node
            else:
                self.trouble("RA902", Place(file, node.line), "is no mapping", via)
        elif self.documents[file] is None:
            self.trouble("RA902", Place(file, 1), "cannot be read", via)
        return self.documents[file]

    def trouble(self, code: str, place: Place, message: str, via: tuple[Place, ...]) -> None:
        """Note what cannot be followed."""
        self.troubles.append(Trouble(code, place, message, via))

    def jobs(
        self, document: Mapping, file: str, scope: Scope, via: tuple[Place, ...], path: str, allowed: Permissions
    ) -> tuple[list[JobRun], dict[str, dict[str, Alternatives]]]:
        """Return the runs of a workflow's jobs, and what each job gives out."""
        allowed = permissions(document, file, allowed)
        found: list[JobRun] = []
        outputs: dict[str, dict[str, Alternatives]] = {}
        jobs = document.mapping("jobs")
        for name in self.ordered(jobs, file, via):
            node = jobs.items[name]
            place = Place(file, jobs.lines[name])
            if not isinstance(node, Mapping):
                self.trouble("RA902", place, f"the job {name} is no mapping", via)
                continue
            try:
                inner = replace(scope.with_env(document.mapping("env")), needs=outputs)
                runs, given = self.job(node, file, place, inner, via, f"{path}{name}", allowed)
            except BadInputError as error:
                self.trouble("RA902", place, f"the job {name}: {error.message}", via)
                continue
            found += runs
            outputs[name] = given
        return found, outputs

    def ordered(self, jobs: Mapping, file: str, via: tuple[Place, ...]) -> Iterator[str]:
        """Yield names of jobs, each after those it needs."""
        waiting = {
            name: {one.text for one in node.sequence("needs") if isinstance(one, Scalar)}
            if isinstance(node, Mapping)
            else set()
            for name, node in jobs.items.items()
        }
        while waiting:
            ready = [name for name, needs in waiting.items() if not needs & waiting.keys()]
            if not ready:
                self.trouble("RA902", Place(file, jobs.line), "jobs need one another in a circle", via)
                return
            for name in ready:
                del waiting[name]
                yield name

    def job(
        self,
        node: Mapping,
        file: str,
        place: Place,
        scope: Scope,
        via: tuple[Place, ...],
        path: str,
        allowed: Permissions,
    ) -> tuple[list[JobRun], dict[str, Alternatives]]:
        """Return the runs of one job, one for each combination of its matrix, and what it gives out."""
        allowed = permissions(node, file, allowed)
        outputs: dict[str, Alternatives] = {}
        found: list[JobRun] = []
        for combination in matrices.combinations(node.mapping("strategy"), scope):
            inner = replace(scope, matrix=combination)
            outcomes = condition(node.text("if"), inner)
            if outcomes == {False}:
                continue
            if node.get("uses") is not None:
                runs, given = self.call(node, file, inner, via, path, allowed)
            else:
                runs, given = self.steps(node, file, place, inner, via, path, allowed)
            when = "" if outcomes == {True} else " ".join((node.text("if") or "").split())
            neutered = self.neutered(node, inner)
            found += [
                replace(run, when=" ".join(filter(None, (when, run.when))), neutered=run.neutered or neutered)
                for run in runs
            ]
            for name, values in given.items():
                outputs[name] = tuple(dict.fromkeys([*outputs.get(name, ()), *values]))
        return found, outputs

    @staticmethod
    def neutered(node: Mapping, scope: Scope) -> bool:
        """Tell whether the failure of a job may be passed over."""
        text = node.text("continue-on-error")
        return text is not None and any(value not in (False, "false", "") for value in values_of(text, scope))

    def steps(
        self,
        node: Mapping,
        file: str,
        place: Place,
        scope: Scope,
        via: tuple[Place, ...],
        path: str,
        allowed: Permissions,
    ) -> tuple[list[JobRun], dict[str, Alternatives]]:
        """Return the run of a job that has steps of its own."""
        scope = scope.with_env(node.mapping("env"))
        defaults = node.mapping("defaults").mapping("run").text("shell") or ""
        walk = StepWalk(self, scope, shell=defaults)
        walk.steps(node.get("steps"), file, via)
        outputs: dict[str, Alternatives] = {
            key: values_of(value.text, walk.scope)
            for key, value in node.mapping("outputs").items.items()
            if isinstance(value, Scalar)
        }
        return [JobRun(path, place, via, allowed, tuple(walk.found))], outputs

    def call(
        self, node: Mapping, file: str, scope: Scope, via: tuple[Place, ...], path: str, allowed: Permissions
    ) -> tuple[list[JobRun], dict[str, Alternatives]]:
        """Return the runs of a reusable workflow that a job calls."""
        text, place = node.text("uses") or "", Place(file, node.lines["uses"])
        match = _OWN_WORKFLOW.fullmatch(text)
        ours = match is not None and (match["repository"] or self.own).lower() == self.own.lower()
        if match is None or not ours:
            if allowed.may_publish or node.get("secrets") is not None:
                self.trouble("RA903", place, f"calls {text}, whose jobs cannot be seen from here", via)
            return [], {}
        target = self.files.find(match["path"])
        if target is None:
            self.trouble("RA904", place, f"calls {match['path']}, which is not there", via)
            return [], {}
        if len(via) >= MAX_CALLS:
            self.trouble("RA902", place, f"calls are nested deeper than {MAX_CALLS}", via)
            return [], {}
        self.called.add(target)
        document = self.document(target, (*via, place))
        if document is None:
            return [], {}
        declared = trigger(document, "workflow_call")
        inputs = given(declared.mapping("inputs"), node.mapping("with"), scope)
        inner = Scope(events=scope.events, inputs=inputs)
        runs, jobs = self.jobs(document, target, inner, (*via, place), f"{path}/", allowed)
        outer = Scope(needs=jobs)
        outputs: dict[str, Alternatives] = {}
        for name, one in declared.mapping("outputs").items.items():
            value = one.text("value") if isinstance(one, Mapping) else None
            # `jobs.NAME.outputs.X` is spelt `needs.…` where the same thing is asked for inside.
            outputs[name] = values_of(re.sub(r"\bjobs\.", "needs.", value), outer) if value else ("",)
        return runs, outputs


def line_of(place: str | None) -> int:
    """Return the line in a place `file:line`, 1 where it has none."""
    tail = (place or "").rpartition(":")[2]
    return int(tail) if tail.isdigit() else 1


def trigger(document: Mapping, name: str) -> Mapping:
    """Return what a workflow says of one event."""
    return document.mapping("on").mapping(name)


def events_of(document: Mapping) -> dict[str, tuple[str, ...]]:
    """Return the events that start a workflow, each with the branches (`b:`) and tags (`t:`) that it waits for."""
    node = document.get("on")
    if isinstance(node, Scalar):
        return {node.text: ()}
    if isinstance(node, Sequence):
        return {one.text: () for one in node.items if isinstance(one, Scalar)}
    events: dict[str, tuple[str, ...]] = {}
    if isinstance(node, Mapping):
        for name, inner in node.items.items():
            patterns: list[str] = []
            if isinstance(inner, Mapping):
                for letter, key in (("b", "branches"), ("t", "tags")):
                    patterns += [f"{letter}:{one.text}" for one in inner.sequence(key) if isinstance(one, Scalar)]
            events[name] = tuple(patterns)
    return events


def dispatched(document: Mapping, events: tuple[str, ...]) -> dict[str, Alternatives]:
    """Return what a person may type who starts a workflow by hand; nothing where other events do."""
    inputs: dict[str, Alternatives] = {}
    others: Alternatives = ("",) if set(events) - {"workflow_dispatch"} else ()
    for name, node in trigger(document, "workflow_dispatch").mapping("inputs").items.items():
        if not isinstance(node, Mapping):
            continue
        kind, default = node.text("type") or "string", node.text("default")
        values: Alternatives
        if kind == "boolean":
            values = (True, False)
        elif kind == "choice":
            values = tuple(one.text for one in node.sequence("options") if isinstance(one, Scalar))
        else:
            values = (*((default,) if default else ()), Unknown(f"inputs.{name}"))
        inputs[name] = (*values, *others)
    return inputs


def given(declared: Mapping, node: Mapping, scope: Scope) -> dict[str, Alternatives]:
    """Return the inputs of what is called: given with `with`, or else the default. Raises `ExpressionError`."""
    inputs: dict[str, Alternatives] = {}
    for name, one in declared.items.items():
        kind = (one.text("type") if isinstance(one, Mapping) else None) or "string"
        text = folded({key: node.text(key) for key in node.items}, name, None)
        if text is None:
            default = (one.text("default") if isinstance(one, Mapping) else None) or ""
            inputs[name] = as_type(kind, values_of(default, scope))
        else:
            inputs[name] = as_type(kind, values_of(text, scope))
    return inputs


def permissions(node: Mapping, file: str, outer: Permissions) -> Permissions:
    """Return what the token may do in *node*, a workflow or a job, where *outer* holds around it."""
    inner: Node | None = node.get("permissions")
    if inner is None:
        return outer
    place = Place(file, node.lines["permissions"])
    if isinstance(inner, Mapping):
        at = Place(file, inner.lines.get("packages", place.line))
        return Permissions(inner.text("packages") or "none", inner.text("contents") or "none", at)
    word = inner.text if isinstance(inner, Scalar) else ""
    kind = {"write-all": "write", "read-all": "read", "": "none"}.get(word, "default")
    return Permissions(kind, kind, place)
