"""What the runs of workflows do, each deed with the line that does it and the calls that lead there. Pure."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ec_closure.errors import BadInputError
from ec_release.authority import actions, programs, shell, tools
from ec_release.authority.acts import Act
from ec_release.authority.sources import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_release.authority.runs import JobRun, Step, WorkflowRun
    from ec_release.authority.shell import Command
    from ec_release.authority.sources import Files

MAX_SCRIPTS = 8
"""How deep scripts may call one another."""
_SHELL_LINES = ("sh", "bash", "dash", "zsh", "ash")


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
    for command in step.commands:
        reader = _Scripts(files, dict(step.environment))
        yield from reader.command(command, step.place_of(command), step.via, 0)


class _Scripts:
    """Follows commands into the scripts of the repository that they run."""

    def __init__(self, files: Files, environment: dict[str, tuple[str, ...]]) -> None:
        self.files, self.environment = files, environment
        self.seen: set[tuple[str, tuple[str, ...]]] = set()

    def command(
        self, command: Command, place: Place, via: tuple[Place, ...], depth: int
    ) -> Iterator[tuple[Act, Place, tuple[Place, ...]]]:
        program = programs.unwrap(command.words)
        if depth > MAX_SCRIPTS:
            yield Act("unclear", program.name, why="what scripts do that call one another without end"), place, via
            return
        if program.script is not None:
            yield from self.text(program.script, (), place, via, depth, fixed=place)
            return
        if _is_shell(command) and command.document is not None:
            yield from self.text(command.document, (), place, via, depth, fixed=place)
        if _is_shell(command) and command.fed:
            yield Act("unclear", command.words[0], why=f"what a shell is fed by {command.fed[0]}"), place, via
        for act in tools.acts_of(program.words, self.environment):
            yield act, place, via
        yield from self.file(program, place, via, depth)

    def file(
        self, program: programs.Program, place: Place, via: tuple[Place, ...], depth: int
    ) -> Iterator[tuple[Act, Place, tuple[Place, ...]]]:
        """Follow a program that is a file of the repository, or an interpreter that is given one."""
        for at, word in enumerate(program.words[:3]):
            path = self.files.find(word) if not word.startswith(("-", "/")) or at == 0 else None
            if path is None or (at == 0 and "/" not in word and program.installable == ""):
                continue
            text = self.files.text(path)
            first = text.partition("\n")[0]
            if posixpath.basename(first.rpartition(" ")[2] or first).strip() in _SHELL_LINES or path.endswith(".sh"):
                arguments = program.words[at + 1 :]
                if (path, arguments) in self.seen:
                    return
                self.seen.add((path, arguments))
                yield from self.text(text, arguments, Place(path, 1), (*via, place), depth, fixed=None)
            elif looks := tools.PUBLISHING.search(text):
                line = text.count("\n", 0, looks.start()) + 1
                why = f"what {path} does, which mentions {looks[0]!r}"
                yield Act("unclear", path, why=why), Place(path, line), (*via, place)
            return

    def text(
        self,
        text: str,
        arguments: tuple[str, ...],
        start: Place,
        via: tuple[Place, ...],
        depth: int,
        *,
        fixed: Place | None,
    ) -> Iterator[tuple[Act, Place, tuple[Place, ...]]]:
        """Go through a script; *fixed* is the place of everything in it where it stands in one argument."""
        variables = {"PWD": (".",), **self.environment, "0": (start.file,)}
        for number, argument in enumerate(arguments, 1):
            variables[str(number)] = (argument,)
        if arguments:
            variables["@"] = variables["*"] = (" ".join(arguments),)
        try:
            outcome = shell.run(text, variables)
        except BadInputError as error:
            yield Act("unclear", start.file, why=f"what a script does: {error.message}"), start, via
            return
        for command in dict.fromkeys(outcome.commands):
            place = fixed or Place(start.file, command.line)
            yield from self.command(command, place, via, depth + 1)


def _is_shell(command: Command) -> bool:
    return posixpath.basename(command.words[0]) in _SHELL_LINES and all(
        word.startswith("-") for word in command.words[1:]
    )
