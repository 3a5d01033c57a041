"""What runs when a workflow runs: jobs, and the steps in them with everything put in that can be told. Values alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ec_release.authority.sources import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ec_release.authority.shell import Command


@dataclass(frozen=True)
class Trouble:
    """What could not be followed, where, and reached through which callers. *code* is that of the finding."""

    code: str
    place: Place
    message: str
    via: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Step:
    """One step of one run: an action that is called (*uses*), or commands.

    *via* are the calls that lead here, outermost first. *when* is its `if` with everything that can be told put in;
    empty when it runs unless something failed. *neutered* tells that its failure may be passed over. *inputs* and
    *environment* are alternatives by name. *opaque* is a text that is not understood: a script in another language.
    *blurred* tells that it sets variables for later steps which cannot be told.
    """

    place: Place
    via: tuple[Place, ...]
    token: str
    when: str = ""
    neutered: bool = False
    uses: str = ""
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    environment: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    commands: tuple[Command, ...] = ()
    block: bool = False
    opaque: str = ""
    blurred: bool = False

    def place_of(self, command: Command) -> Place:
        """Return where a command of this step stands."""
        return Place(self.place.file, self.place.line + command.line - (0 if self.block else 1))


@dataclass(frozen=True)
class Permissions:
    """What a job's token may write: `write`, `read`, `none`, or `default` where nothing is said."""

    packages: str = "default"
    contents: str = "default"
    place: Place | None = None

    @property
    def may_publish(self) -> bool:
        """Tell whether a step that is not understood could publish something with it."""
        return "write" in (self.packages, self.contents) or "default" in (self.packages, self.contents)


@dataclass(frozen=True)
class JobRun:
    """One job with one combination of its matrix. *path* leads to it through reusable workflows: `call/publish`."""

    path: str
    place: Place
    via: tuple[Place, ...]
    permissions: Permissions
    steps: tuple[Step, ...]
    when: str = ""
    neutered: bool = False


@dataclass(frozen=True)
class WorkflowRun:
    """Everything that one workflow may do by itself. *events* are those that start it; none: others call it."""

    file: str
    events: Mapping[str, tuple[str, ...]]
    jobs: tuple[JobRun, ...]
    troubles: tuple[Trouble, ...]
