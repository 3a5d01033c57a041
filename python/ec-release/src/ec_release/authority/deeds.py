"""What the runs of workflows do, each deed with the line that does it and the calls that lead there. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ec_release.authority import actions, tools
from ec_release.authority.acts import Act
from ec_release.authority.scripts import Scripts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_release.authority.runs import JobRun, Step, WorkflowRun
    from ec_release.authority.sources import Files, Place


@dataclass(frozen=True)
class Deed:
    """One act of one step of one job of a workflow that starts by itself."""

    act: Act
    place: Place
    via: tuple[Place, ...]
    workflow: WorkflowRun
    job: JobRun
    step: Step
    order: int

    @property
    def writer(self) -> str:
        """What writes: the workflow that starts, and the job in it that runs, by their names."""
        return f"{self.workflow.file}: {self.job.path}"

    @property
    def neutered(self) -> bool:
        """Tell whether its failure may be passed over."""
        return self.step.neutered or self.job.neutered

    @property
    def when(self) -> str:
        """Return under which condition it happens; empty for always."""
        return " ".join(filter(None, (self.job.when, self.step.when)))

    @property
    def holds_rights(self) -> bool:
        """Tell whether what runs here could publish: by the job's token, or a secret that it is given."""
        if not self.workflow.file.startswith(".github/"):
            # Forgejo's tokens may write whatever a workflow says of permissions.
            return True
        given = [*self.step.environment.values(), *self.step.inputs.values()]
        return self.job.permissions.may_publish or any(
            "secrets." in value.lower() for values in given for value in values
        )


@dataclass
class _Job:
    """What is known while a job is gone through: which images and files were made of what."""

    sources: dict[str, str] = field(default_factory=dict)

    def note(self, act: Act) -> None:
        if act.kind == "build" and act.target:
            origin = act.source.removeprefix("image:")
            self.sources[act.target] = self.sources.get(origin, act.source)
            if act.target.startswith("file:"):
                self.sources[act.target.removeprefix("file:")] = act.source

    def traced(self, act: Act) -> Act:
        """Return *act* with the source that the image was made of, as far as the job's steps tell."""
        if act.kind != "image" or act.source.startswith(("dockerfile:", "flake:")):
            return act
        for name in (act.source, act.source.partition(":")[2], act.target):
            if name and name in self.sources:
                return replace(act, source=self.sources[name])
        return act


def deeds_of(run: WorkflowRun, files: Files) -> list[Deed]:
    """Return what *run* does, in order."""
    found: list[Deed] = []
    for job in run.jobs:
        state = _Job()
        for step in job.steps:
            for act, place, via in _acts(step, files):
                traced = state.traced(act)
                state.note(traced)
                found.append(Deed(traced, place, via, run, job, step, len(found)))
    return found


def _acts(step: Step, files: Files) -> Iterator[tuple[Act, Place, tuple[Place, ...]]]:
    if step.uses:
        for act in actions.acts_of(step):
            yield act, step.place, step.via
    elif step.opaque:
        looks = tools.PUBLISHING.search(step.opaque)
        if looks:
            yield Act("unclear", "run", why=f"what a script does that mentions {looks[0]!r}"), step.place, step.via
    if step.blurred:
        yield Act("unclear", "run", why="which variables are set for later steps"), step.place, step.via
    for command in step.commands:
        reader = Scripts(files, dict(step.environment))
        yield from reader.command(command, step.place_of(command), step.via, 0)
