"""The names that expressions of a workflow may use, and what they stand for where a step is. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from ec_release.authority.expressions import resolve
from ec_release.authority.values import Alternatives, Unknown, member, text_of
from ec_release.authority.yaml_nodes import Mapping, Scalar

if TYPE_CHECKING:
    from collections.abc import Mapping as Table

Kind = TypeVar("Kind")
Other = TypeVar("Other")

_RUNNER = {
    # Variables that every runner sets, by the expression that they equal.
    "GITHUB_ACTOR": "github.actor",
    "GITHUB_EVENT_NAME": "github.event_name",
    "GITHUB_REF": "github.ref",
    "GITHUB_REF_NAME": "github.ref_name",
    "GITHUB_REPOSITORY": "github.repository",
    "GITHUB_REPOSITORY_OWNER": "github.repository_owner",
    "GITHUB_SERVER_URL": "github.server_url",
    "GITHUB_SHA": "github.sha",
}


@dataclass(frozen=True)
class Scope:
    """What is known at one place. A table of None says that its names cannot be told."""

    events: tuple[str, ...] = ()
    env: Table[str, tuple[str, ...]] = field(default_factory=dict)
    inputs: Table[str, Alternatives] = field(default_factory=dict)
    matrix: Table[str, Any] | None = field(default_factory=dict)
    needs: Table[str, Table[str, Alternatives]] = field(default_factory=dict)
    steps: Table[str, Table[str, Alternatives]] = field(default_factory=dict)
    tokens: Table[str, str] = field(default_factory=dict)
    """By the `id` of a step, a name for it that is the same everywhere."""
    action_path: str = ""

    def lookup(self, path: tuple[str, ...]) -> Alternatives | None:
        """Return what a name may stand for, or None where it cannot be told."""
        head, rest = path[0], path[1:]
        if head == "env" and len(rest) == 1:
            return self.variable(rest[0])
        if head == "inputs" and len(rest) == 1:
            return folded(self.inputs, rest[0], ("",))
        if head == "matrix" and self.matrix is not None:
            value: Any = dict(self.matrix)
            for key in rest:
                value = member(value, key, ".".join(path))
            return (value,)
        match path:
            case ("needs", job, "outputs", name):
                return folded(folded(self.needs, job, {}) or {}, name, None)
            case ("steps", step, "outputs", name):
                return self.output(step, name)
            case ("github", *keys):
                return self.github(tuple(keys))
        return None

    def variable(self, name: str) -> Alternatives | None:
        """Return a variable of the environment; names differ by case, but expressions are read in lower case."""
        return folded(self.env, name, None)

    def output(self, step: str, name: str) -> Alternatives:
        """Return an output of a step before this one; of an action, an unknown that names the step."""
        known = folded(folded(self.steps, step, {}) or {}, name, None)
        if known is not None:
            return known
        token = folded(self.tokens, step, None)
        return (Unknown(f"steps[{token}].outputs.{name}"),) if token else ("",)

    def github(self, rest: tuple[str, ...]) -> Alternatives | None:
        """Return what the context `github` has at *rest*."""
        if rest == ("event_name",) and self.events:
            return self.events
        if rest == ("action_path",) and self.action_path:
            return (self.action_path,)
        match rest:
            case ("event", "inputs", name):
                return folded(self.inputs, name, None)
        return None

    def with_env(self, node: Mapping) -> Scope:
        """Return the scope with a mapping `env` on top. Raises `ExpressionError`."""
        # Values see the levels above, not one another.
        return replace(self, env={**self.env, **texts(node, self)})

    def variables(self) -> dict[str, tuple[str, ...]]:
        """Return what a script finds in its environment."""
        own: dict[str, tuple[str, ...]] = {name: (f"${{{{ {expression} }}}}",) for name, expression in _RUNNER.items()}
        if self.events:
            own["GITHUB_EVENT_NAME"] = self.events
        own["GITHUB_WORKSPACE"] = own["PWD"] = (".",)
        if self.action_path:
            own["GITHUB_ACTION_PATH"] = (self.action_path,)
        return {**own, **self.env}


def folded(table: Table[str, Kind], name: str, default: Other) -> Kind | Other:
    """Return what *table* holds at *name*, without regard to case."""
    if name in table:
        return table[name]
    return next((value for key, value in table.items() if key.lower() == name.lower()), default)


def texts(node: Mapping, scope: Scope) -> dict[str, tuple[str, ...]]:
    """Return the texts of a mapping with expressions put in. Raises `ExpressionError`."""
    return {key: resolve(value.text, scope) for key, value in node.items.items() if isinstance(value, Scalar)}


def as_type(kind: str, values: Alternatives) -> Alternatives:
    """Return the values of an input as its type has them: `false` as a text would count as true."""
    if kind == "boolean":
        return tuple(text_of(value).lower() == "true" if not isinstance(value, Unknown) else value for value in values)
    return tuple(value if isinstance(value, Unknown | str) else text_of(value) for value in values)
