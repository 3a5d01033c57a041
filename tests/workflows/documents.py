"""Workflows and composite actions of this repository, read strictly: every key once, no aliases, `on` a word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


class _Loader(yaml.SafeLoader):
    """YAML as runners read it: `on`, `yes` and `off` are words, dates are text, and a key stands once."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse aliases: what is elsewhere is not seen where it acts."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "an alias", self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        """Refuse the second of two equal keys, and keys that are no words."""
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise yaml.constructor.ConstructorError(None, None, "a key that is no word", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp", ":merge"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"true|false"), list("tf"))


def load(text: str) -> Any:
    """Return what *text* says. Raises `yaml.YAMLError` for what runners may read in two ways."""
    return yaml.load(text, _Loader)  # noqa: S506 - derived from SafeLoader


@dataclass(frozen=True)
class Step:
    """One step, and where it stands: `ci.yml: jobs.test.steps[2]`."""

    place: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Document:
    """A workflow or a composite action."""

    path: Path
    text: str
    data: dict[str, Any]

    @property
    def name(self) -> str:
        """Its path in the repository."""
        return str(self.path.relative_to(ROOT)) if self.path.is_relative_to(ROOT) else self.path.name

    @property
    def is_action(self) -> bool:
        """Whether it is a composite action."""
        return "runs" in self.data

    @property
    def forgejo(self) -> bool:
        """Whether Forgejo runs it, and not GitHub."""
        return ".forgejo" in self.path.parts

    @property
    def events(self) -> set[str]:
        """What starts it."""
        on = self.data.get("on", {})
        return {on} if isinstance(on, str) else set(on)

    @property
    def jobs(self) -> dict[str, dict[str, Any]]:
        """Its jobs by name; an action has none."""
        return self.data.get("jobs", {})

    def steps(self) -> Iterator[Step]:
        """Yield all steps."""
        if self.is_action:
            for number, step in enumerate(self.data["runs"].get("steps", [])):
                yield Step(f"{self.name}: runs.steps[{number}]", step)
        for name, job in self.jobs.items():
            for number, step in enumerate(job.get("steps", [])):
                yield Step(f"{self.name}: jobs.{name}.steps[{number}]", step)

    def used(self) -> Iterator[Step]:
        """Yield all that call something: steps, and jobs that are a reusable workflow."""
        yield from (step for step in self.steps() if "uses" in step.data)
        yield from (Step(f"{self.name}: jobs.{name}", job) for name, job in self.jobs.items() if "uses" in job)


def read(path: Path) -> Document:
    """Read a workflow or an action."""
    text = path.read_text()
    return Document(path, text, load(text))


def workflow_files(root: Path = ROOT) -> list[Path]:
    """Return the workflows below *root*."""
    return sorted(
        file
        for forge in (".github", ".forgejo")
        for end in ("yml", "yaml")
        for file in root.glob(f"{forge}/workflows/*.{end}")
    )


def action_files(root: Path = ROOT) -> list[Path]:
    """Return the composite actions below *root*."""
    return sorted(
        file
        for forge in (".github", ".forgejo")
        for end in ("yml", "yaml")
        for file in root.glob(f"{forge}/actions/*/action.{end}")
    )
