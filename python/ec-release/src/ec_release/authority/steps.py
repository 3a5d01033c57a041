"""The steps of a job and of the composite actions in it, one after the other, each with what is known by then. Pure."""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ec_closure.errors import BadInputError
from ec_release.authority import programs, shell, verbs
from ec_release.authority.expressions import condition, resolve, values_of
from ec_release.authority.runs import Step
from ec_release.authority.scope import Scope, texts
from ec_release.authority.sources import Place
from ec_release.authority.values import Alternatives, Unknown
from ec_release.authority.yaml_nodes import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from ec_release.authority.walk import Walk

MAX_DEPTH = 9
"""How deep composite actions may call one another, as on GitHub."""
_SHELLS = re.compile(r"(?:/\S*/)?(?:ba|da|z|k)?sh\b")
_ACTION = re.compile(r"(?:https?://(?P<host>[^/\s]+)/)?(?P<repository>[^/\s@]+/[^/\s@]+)(?:/(?P<path>[^@\s]+))?@\S+")
_DEFINITIONS = ("action.yml", "action.yaml")
_NAMED = {
    "docker/metadata-action": ("images", "tags"),
}
"""Actions that give out names made of an input: by which input, and which output."""


class StepWalk:
    """Goes through steps in order; *scope* grows, *found* are the steps."""

    def __init__(self, walk: Walk, scope: Scope, *, shell: str = "", depth: int = 0) -> None:
        self.walk, self.scope, self.shell, self.depth = walk, scope, shell, depth
        self.found: list[Step] = []

    def steps(self, node: Node | None, file: str, via: tuple[Place, ...]) -> None:
        """Go through a list of steps."""
        for one in node.items if isinstance(node, Sequence) else ():
            if not isinstance(one, Mapping):
                self.walk.trouble("RA902", Place(file, one.line), "a step is no mapping", via)
                continue
            try:
                self.step(one, file, via)
            except BadInputError as error:
                self.walk.trouble("RA902", Place(file, one.line), f"a step: {error.message}", via)

    def step(self, node: Mapping, file: str, via: tuple[Place, ...]) -> None:
        """Go through one step."""
        scope = self.scope.with_env(node.mapping("env"))
        outcomes = condition(node.text("if"), scope)
        if outcomes == {False}:
            return
        key = "uses" if node.get("uses") is not None else "run"
        place = Place(file, node.lines.get(key, node.line))
        text = node.text("continue-on-error")
        step = Step(
            place,
            via,
            token=str(place),
            when="" if outcomes == {True} else " ".join(resolve_condition(node.text("if") or "", scope).split()),
            neutered=text is not None and any(one not in (False, "false", "") for one in values_of(text, scope)),
            environment=scope.env,
        )
        outputs: dict[str, Alternatives] | None = None
        if key == "uses":
            outputs = self.uses(node, step, scope)
        elif isinstance(node.get("run"), Scalar):
            outputs = self.run(node, step, scope)
        name = node.text("id")
        if name:
            self.scope = replace(self.scope, tokens={**self.scope.tokens, name: step.token})
            self.scope = replace(self.scope, steps={**self.scope.steps, name: outputs or {}})

    def run(self, node: Mapping, step: Step, scope: Scope) -> dict[str, Alternatives]:
        """Read a script, and follow what it writes for later steps."""
        scalar = node.get("run")
        assert isinstance(scalar, Scalar)  # noqa: S101 - the caller asked
        language = " ".join(resolve(node.text("shell") or self.shell or "bash", scope))
        scripts = resolve(scalar.text, scope)
        if not _SHELLS.match(language):
            self.found.append(replace(step, opaque="\n".join(scripts), block=scalar.block))
            return {}
        outcome = shell.Outcome()
        for script in scripts:
            one = shell.run(script, scope.variables())
            outcome.commands += one.commands
            outcome.blurred |= one.blurred
            for into, more in ((outcome.environment, one.environment), (outcome.outputs, one.outputs)):
                for name, values in more.items():
                    into[name] = tuple(dict.fromkeys([*into.get(name, ()), *values]))
        commands = tuple(dict.fromkeys(outcome.commands))
        blurred = "environment" in outcome.blurred
        self.found.append(replace(step, commands=commands, block=scalar.block, blurred=blurred))
        for command in outcome.commands:
            program = programs.unwrap(command.words)
            if program.name == "ec-release":
                for name, value in verbs.outputs_of(program.words[1:]).items():
                    outcome.outputs[name] = tuple(dict.fromkeys([*outcome.outputs.get(name, ()), value]))
        if outcome.environment:
            self.scope = replace(self.scope, env={**self.scope.env, **outcome.environment})
        return dict(outcome.outputs)

    def uses(self, node: Mapping, step: Step, scope: Scope) -> dict[str, Alternatives]:
        """Follow an action of this repository, or note the one that is called."""
        name, inputs = node.text("uses") or "", texts(node.mapping("with"), scope)
        path = self.own(name)
        if path is None:
            self.found.append(replace(step, uses=plain_name(name), inputs=inputs))
            return self.named(plain_name(name), inputs, step)
        definition = next(
            (found for one in _DEFINITIONS if (found := self.walk.files.find(posixpath.join(path, one)))), None
        )
        if definition is None:
            self.walk.trouble("RA904", step.place, f"uses {path}, which is no action of this repository", step.via)
            return {}
        document = self.walk.document(definition, (*step.via, step.place))
        if document is None:
            return {}
        runs = document.mapping("runs")
        if runs.text("using") != "composite":
            opaque = self.program(path, runs)
            self.found.append(
                replace(step, place=Place(definition, runs.line), uses=path, inputs=inputs, opaque=opaque)
            )
            return {}
        if self.depth >= MAX_DEPTH:
            self.walk.trouble("RA902", step.place, f"actions are nested deeper than {MAX_DEPTH}", step.via)
            return {}
        return self.composite(document, definition, inputs, step, scope, path)

    def composite(
        self,
        document: Mapping,
        definition: str,
        inputs: dict[str, tuple[str, ...]],
        step: Step,
        scope: Scope,
        path: str,
    ) -> dict[str, Alternatives]:
        """Go through the steps of a composite action, and return what it gives out."""
        declared: dict[str, Alternatives] = {}
        for name, one in document.mapping("inputs").items.items():
            default = (one.text("default") if isinstance(one, Mapping) else None) or ""
            passed = next((values for key, values in inputs.items() if key.lower() == name.lower()), None)
            declared[name] = passed if passed is not None else resolve(default, scope)
        inner = replace(scope, inputs=declared, steps={}, tokens={}, action_path=path)
        walk = StepWalk(self.walk, inner, depth=self.depth + 1)
        walk.steps(document.mapping("runs").get("steps"), definition, (*step.via, step.place))
        self.found += [
            replace(
                one,
                when=" ".join(filter(None, (step.when, one.when))),
                neutered=one.neutered or step.neutered,
            )
            for one in walk.found
        ]
        added = {key: values for key, values in walk.scope.env.items() if inner.env.get(key) != values}
        self.scope = replace(self.scope, env={**self.scope.env, **added})
        outputs: dict[str, Alternatives] = {}
        for name, one in document.mapping("outputs").items.items():
            value = one.text("value") if isinstance(one, Mapping) else None
            outputs[name] = values_of(value, walk.scope) if value else ("",)
        return outputs

    def own(self, name: str) -> str | None:
        """Return the directory of an action that lies in this repository, or None for one that does not."""
        if name.startswith("./"):
            return posixpath.normpath(name)
        match = _ACTION.fullmatch(name)
        if match and match["repository"].lower() == self.walk.own.lower():
            return posixpath.normpath(match["path"] or ".")
        return None

    def program(self, path: str, runs: Mapping) -> str:
        """Return the text of an action that is a program, as far as it lies in this repository."""
        names = [runs.text(key) for key in ("main", "pre", "post", "entrypoint", "image")]
        found = [self.walk.files.find(posixpath.join(path, name)) for name in names if name]
        return "\n".join(self.walk.files.text(one) for one in found if one) or "(a program)"

    @staticmethod
    def named(name: str, inputs: dict[str, tuple[str, ...]], step: Step) -> dict[str, Alternatives]:
        """Return what actions give out of which the names are known, and the rest is not."""
        if name not in _NAMED:
            return {}
        source, output = _NAMED[name]
        open_end = Unknown(f"steps[{step.token}].outputs.{output}")
        lines = [line for text in inputs.get(source, ()) for line in text.split()]
        return {output: ("\n".join(f"{line}:{open_end}" for line in lines),)} if lines else {}


def resolve_condition(text: str, scope: Scope) -> str:
    """Return the text of a condition, so that the conditions of two steps can be compared."""
    del scope
    return text.strip().removeprefix("${{").removesuffix("}}").strip()


def plain_name(name: str) -> str:
    """Return an action as `owner/name/path`, in lower case, without its version and without the forges that mirror it.

    An action from another host keeps the host: it is not the one that the name suggests.
    """
    match = _ACTION.fullmatch(name)
    if match is None:
        return name.lower()
    known = match["host"] in (None, "github.com", "code.forgejo.org", "data.forgejo.org")
    parts = [match["repository"], match["path"]] if known else [match["host"], match["repository"], match["path"]]
    return "/".join(part for part in parts if part).lower()
