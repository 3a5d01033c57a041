"""Runs the steps of a job or of a composite action on this machine, strictly.

`run:` steps run as they do elsewhere: in `bash -e`, with the environment of workflow, job and step, and files for
outputs, variables, paths and the summary. `if:` and `${{ … }}` are worked out by `expressions`. What a step *uses* is
run here where it is an action of this repository; every other one must be given as a function, which takes the runner
and the step's inputs, and returns outputs (None: it failed). What is not known here (a key of a step, an action, an
expression) is an error, never passed over.

`nix run .#ec-release -- …` is run as the `ec-release` of this environment; `programs` stand in for others of that name.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.workflows.documents import ROOT, read
from tests.workflows.expressions import condition, interpolated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Action = Callable[["Runner", dict[str, str]], dict[str, str] | None]

_KEYS = frozenset(
    {
        "name",
        "id",
        "if",
        "uses",
        "with",
        "run",
        "shell",
        "env",
        "working-directory",
        "continue-on-error",
        "timeout-minutes",
    }
)
_RUN_FOR = 300
_NIX = """#!/bin/sh
case "$1 $2 $3" in
  "run .#ec-release --") shift 3; exec ec-release "$@" ;;
  *) echo "this runner has no nix $*" >&2; exit 97 ;;
esac
"""


class UnknownError(Exception):
    """A step says what this runner does not know."""


@dataclass
class Ran:
    """How one step went."""

    name: str
    outcome: str  # success, failure, skipped
    output: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class Runner:
    """A machine with a workspace: *directory* is its own.

    *contexts* are `github`, `inputs`, `matrix`, `needs`, `secrets` and `vars`, as far as a job needs them;
    *actions* are functions by the name before the `@`. *programs* are scripts by name, found before all others.
    """

    directory: Path
    contexts: dict[str, Any] = field(default_factory=dict)
    workspace: Path = ROOT
    actions: Mapping[str, Action] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    ran: list[Ran] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.temporary = self.directory / "temp"
        self.summary_file = self.directory / "summary.md"
        self.bin = self.directory / "bin"
        for path in (self.temporary, self.bin):
            path.mkdir(parents=True)
        self.summary_file.touch()
        for name, script in {"nix": _NIX, **self.programs}.items():
            (self.bin / name).write_text(script)
            (self.bin / name).chmod(0o755)
        self.path = [str(self.bin), str(Path(sys.executable).parent), *os.environ["PATH"].split(":")]
        github = {"workspace": str(self.workspace), "action_path": "", **self.contexts.get("github", {})}
        self.contexts = {
            "inputs": {}, "matrix": {}, "needs": {}, "secrets": {}, "vars": {}, "strategy": {},
            **self.contexts,
            "github": github,
            "runner": {"temp": str(self.temporary), "os": "Linux", "arch": "X64"},
        }  # fmt: skip

    @property
    def summary(self) -> str:
        """What steps wrote into the summary."""
        return self.summary_file.read_text()

    def job(self, workflow: Path, name: str) -> dict[str, str]:
        """Run the job *name* of a workflow; return its outputs. A step that failed fails the job: see `succeeded`."""
        document = read(workflow)
        job = document.jobs[name]
        variables = self._expanded(document.data.get("env", {}), {}) | self._expanded(job.get("env", {}), {})
        steps = self._steps(job["steps"], variables)
        return {key: self._text(value, variables, steps) for key, value in job.get("outputs", {}).items()}

    def action(self, directory: Path, inputs: Mapping[str, str]) -> dict[str, str]:
        """Run a composite action with *inputs*; return its outputs."""
        document = read(directory / "action.yml")
        declared = document.data.get("inputs", {})
        unknown = inputs.keys() - declared.keys()
        missing = {
            key
            for key, what in declared.items()
            if what.get("required") and key not in inputs and "default" not in what
        }
        if unknown or missing:
            raise UnknownError(f"{document.name}: inputs unknown {sorted(unknown)}, missing {sorted(missing)}")
        outer = self.contexts
        given = {key: self._text(str(what.get("default", "")), {}, {}) for key, what in declared.items()} | dict(inputs)
        self.contexts = outer | {"inputs": given, "github": outer["github"] | {"action_path": str(directory)}}
        try:
            steps = self._steps(document.data["runs"]["steps"], {"GITHUB_ACTION_PATH": str(directory)})
            return {key: self._text(what["value"], {}, steps) for key, what in document.data.get("outputs", {}).items()}
        finally:
            self.contexts = outer

    @property
    def succeeded(self) -> bool:
        """Whether no step failed."""
        return all(step.outcome != "failure" for step in self.ran)

    def _contexts(self, variables: Mapping[str, str], steps: Mapping[str, Any]) -> dict[str, Any]:
        return self.contexts | {"env": {**self.environment, **variables}, "steps": steps}

    def _text(self, text: Any, variables: Mapping[str, str], steps: Mapping[str, Any], status: str = "success") -> str:
        plain = str(text).lower() if isinstance(text, bool) else str(text)
        return interpolated(plain, self._contexts(variables, steps), status)

    def _expanded(self, values: Mapping[str, Any], variables: Mapping[str, str], steps: Any = None) -> dict[str, str]:
        return {key: self._text(value, variables, steps or {}) for key, value in values.items()}

    def _steps(self, steps: Iterable[Mapping[str, Any]], variables: dict[str, str]) -> dict[str, Any]:
        status = "success"
        known: dict[str, Any] = {}
        for step in steps:
            if unknown := step.keys() - _KEYS:
                raise UnknownError(f"a step with {sorted(unknown)}")
            own = variables | self._expanded(step.get("env", {}), variables, known)
            ran = Ran(step.get("name") or step.get("id") or step.get("uses") or step["run"], "skipped")
            if condition(step.get("if", "success()"), self._contexts(own, known), status):
                self._run(step, own, known, ran)
            self.ran.append(ran)
            if "id" in step:
                known[step["id"]] = {"outputs": ran.outputs, "outcome": ran.outcome, "conclusion": ran.outcome}
            if ran.outcome == "failure" and not step.get("continue-on-error"):
                status = "failure"
        return known

    def _run(self, step: Mapping[str, Any], variables: dict[str, str], steps: Mapping[str, Any], ran: Ran) -> None:
        if "run" in step:
            where = self.workspace / self._text(step.get("working-directory", "."), variables, steps)
            self._shell(self._text(step["run"], variables, steps), variables, where, ran)
            return
        name = step["uses"].partition("@")[0]
        inputs = self._expanded(step.get("with", {}), variables, steps)
        if name.startswith(("./", "$/")):
            before = len(self.ran)
            ran.outputs = self.action(self.workspace / name[2:], inputs)
            failed = any(inner.outcome == "failure" for inner in self.ran[before:])
        elif name in self.actions:
            outputs = self.actions[name](self, inputs)
            ran.outputs, failed = outputs or {}, outputs is None
        else:
            raise UnknownError(f"nobody said what {name} does")
        ran.outcome = "failure" if failed else "success"

    def _shell(self, text: str, variables: Mapping[str, str], where: Path, ran: Ran) -> None:
        files = {name: self.directory / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH")}
        for file in files.values():
            file.write_text("")
        github = self.contexts["github"]
        environment = {
            **{key: os.environ[key] for key in ("HOME", "LANG", "LC_ALL") if key in os.environ},
            **{
                f"GITHUB_{key.upper()}": str(value)
                for key, value in github.items()
                if not isinstance(value, dict | list)
            },
            **self.environment,
            **variables,
            **{name: str(file) for name, file in files.items()},
            "PATH": ":".join(self.path),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": str(self.summary_file),
            "RUNNER_TEMP": str(self.temporary),
        }
        environment.pop("GITHUB_TOKEN", None)
        if "GITHUB_TOKEN" in variables:
            environment["GITHUB_TOKEN"] = variables["GITHUB_TOKEN"]
        bash = shutil.which("bash") or "bash"
        script = self.directory / "step.sh"
        script.write_text(text)
        done = subprocess.run(
            [bash, "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=where,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_RUN_FOR,
        )
        ran.output = done.stdout
        ran.outcome = "failure" if done.returncode else "success"
        ran.outputs = assignments(files["GITHUB_OUTPUT"].read_text())
        self.environment |= assignments(files["GITHUB_ENV"].read_text())
        self.path[:0] = reversed(files["GITHUB_PATH"].read_text().splitlines())


def assignments(text: str) -> dict[str, str]:
    """Return what a file for outputs or variables says: `name=value`, or `name<<END` … `END`. Raises `UnknownError`."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        if not line:
            continue
        if match := re.fullmatch(r"([A-Za-z_][\w-]*)<<(\S+)", line):
            block: list[str] = []
            for inner in lines:
                if inner == match[2]:
                    break
                block.append(inner)
            else:
                raise UnknownError(f"{match[1]} does not end")
            found[match[1]] = "\n".join(block)
        elif match := re.fullmatch(r"([A-Za-z_][\w-]*)=(.*)", line):
            found[match[1]] = match[2]
        else:
            raise UnknownError(f"neither a name nor a value: {line}")
    return found
