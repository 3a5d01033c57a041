"""What every workflow and every composite action is held to. Each rule yields what breaks it, with its place."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.workflows.command import Command, NotSimpleError, commands
from tests.workflows.documents import ROOT, Document, read, workflow_files
from tests.workflows.references import dangling, wrong_calls

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a `run:` may start, and why that is no shell in disguise. Scripts of the repository are named by their path.
PROGRAMS = {
    "cosign": "signs and verifies",
    "docker": "Buildx and its registry tools",
    "ec-release": "our own",
    "gh": "the forge's own client",
    "nix": "builds, and runs our own programs",
    "sudo": "before a script of ours: mounts and owners are root's business",
    "tofu": "checks what deploys",
}
# They run text, or change what runs: nothing that only they could resolve stands in a workflow.
INTERPRETERS = re.compile(r"(ba|da|z|k|c|)sh|python[\d.]*|perl|ruby|node|awk|gawk|sed|env|xargs|eval|ssh|make|just")
NIX_COMMANDS = {"build", "develop", "flake", "run"}
NIX_CODE = {"--expr", "-E", "--apply", "--impure", "--argstr", "--arg"}
NOT_THE_MIRROR = "github.server_url != 'https://codeberg.org'"
READ_ONLY = ({}, {"contents": "read"})
DANGEROUS_EVENTS = {"pull_request_target", "workflow_run", "issue_comment"}
USES = re.compile(r"^\s*(?:- )?uses:\s*(?P<what>\S+)(?:\s+# (?P<comment>.*))?$", re.MULTILINE)
FORGES = re.compile(r"https://[a-z.]+/")


@dataclass(frozen=True)
class Pin:
    """One action at one digest."""

    digest: str
    version: str
    inputs: tuple[str, ...]


@cache
def pins() -> dict[str, Pin]:
    """Return the one place that holds the pins."""
    text = Path(__file__).with_name("pins.toml").read_text()
    return {name: Pin(pin["digest"], pin["version"], tuple(pin["inputs"])) for name, pin in tomllib.loads(text).items()}


def unpinned(document: Document) -> Iterator[str]:
    """Yield every `uses:` that is not the pinned digest, with the pinned version as its comment."""
    comments = {match["what"]: match["comment"] for match in USES.finditer(document.text)}
    for step in document.used():
        what = step.data["uses"]
        if what.startswith(("./", "$/")):
            target = ROOT / what[2:]
            if not (target / "action.yml").is_file() and not (target.is_file() and target.suffix == ".yml"):
                yield f"{step.place}: {what} is not there"
            continue
        name, _, digest = FORGES.sub("", what).partition("@")
        pin = pins().get(name)
        if pin is None:
            yield f"{step.place}: {name} is not in pins.toml"
        elif (digest, comments.get(what)) != (pin.digest, pin.version):
            yield f"{step.place}: {what} # {comments.get(what)}, where pins.toml has {pin.digest} # {pin.version}"
        elif unknown := step.data.get("with", {}).keys() - set(pin.inputs):
            yield f"{step.place}: {name} has no input {sorted(unknown)}"


def too_many_rights(document: Document) -> Iterator[str]:
    """Yield where rights are not given job by job, from nothing."""
    if document.is_action:
        return
    if document.data.get("permissions") not in READ_ONLY:
        yield f"{document.name}: permissions at the top are neither {{}} nor contents: read"
    for name, job in document.jobs.items():
        rights = job.get("permissions")
        if not isinstance(rights, dict):
            yield f"{document.name}: jobs.{name} does not list its permissions"
        elif unknown := {value for value in rights.values() if value not in ("read", "write", "none")}:
            yield f"{document.name}: jobs.{name} has permissions {unknown}"
        if job.get("secrets") == "inherit":
            yield f"{document.name}: jobs.{name} hands on all secrets"


def kept_credentials(document: Document) -> Iterator[str]:
    """Yield every checkout that leaves the token in the work tree, where whatever runs later finds it."""
    for step in document.used():
        if re.search(r"(^|/)actions/checkout@", step.data["uses"]):
            kept = step.data.get("with", {}).get("persist-credentials")
            if kept is not False:
                yield f"{step.place}: persist-credentials is not false"


def without_end(document: Document) -> Iterator[str]:
    """Yield jobs that may run for ever, or beside themselves."""
    if document.is_action:
        return
    for name, job in document.jobs.items():
        if "uses" not in job and not isinstance(job.get("timeout-minutes"), int):
            yield f"{document.name}: jobs.{name} has no timeout-minutes"
        if isinstance(job.get("runs-on"), str) and job["runs-on"].endswith("-latest"):
            yield f"{document.name}: jobs.{name} runs on whatever is latest"
    # A called workflow runs within its caller's group; one of its own, of the same name, would wait for itself.
    if document.events != {"workflow_call"} and "concurrency" not in document.data:
        yield f"{document.name}: no concurrency"


def on_the_mirror(document: Document) -> Iterator[str]:
    """Yield jobs that Codeberg would run, too: it has a mirror, which distributes and makes nothing."""
    if not document.forgejo or document.events == {"workflow_call"}:
        return
    for name, job in document.jobs.items():
        if NOT_THE_MIRROR not in str(job.get("if", "")):
            yield f"{document.name}: jobs.{name} is not kept from the mirror: if: {NOT_THE_MIRROR}"


def passed_over(document: Document) -> Iterator[str]:
    """Yield steps and jobs that may fail without anybody noticing: a scan among them would scan nothing."""
    yield from (f"{step.place}: continue-on-error" for step in document.steps() if "continue-on-error" in step.data)
    for name, job in document.jobs.items():
        if "continue-on-error" in job:
            yield f"{document.name}: jobs.{name}: continue-on-error"


def dangerous_events(document: Document) -> Iterator[str]:
    """Yield events that run with rights on what strangers wrote."""
    for event in sorted(document.events & DANGEROUS_EVENTS):
        yield f"{document.name}: on {event}"


def machines_of_strangers(document: Document) -> Iterator[str]:
    """Yield jobs that run what a pull request proposes on a machine that builds, signs or publishes releases.

    GitHub's own machines are new for each job; the others keep what was left on them.
    """
    if "pull_request" not in document.events:
        return
    trusted = trusted_machines()
    for name, job in document.jobs.items():
        yield from (f"{document.name}: jobs.{name} runs on {label}" for label in labels(job) if label in trusted)


def labels(job: dict[str, Any]) -> set[str]:
    """Return the labels that a job asks for; an expression is none."""
    asked = job.get("runs-on", [])
    return {label for label in ([asked] if isinstance(asked, str) else asked) if "${{" not in label}


@cache
def trusted_machines() -> frozenset[str]:
    """Return the labels of machines of one's own that no pull request may reach."""
    targets = tomllib.loads((ROOT / ".forgejo" / "boot-images.toml").read_text())["targets"].values()
    others = (read(file) for file in workflow_files() if file.parts[-3] == ".forgejo")
    jobs = (job for document in others if "pull_request" not in document.events for job in document.jobs.values())
    return frozenset({target["runner"] for target in targets if target["runner"]}.union(*map(labels, jobs)))


def interpolated(document: Document) -> Iterator[str]:
    """Yield every place where an expression becomes text that is run, or the name of what is run."""
    for step in document.steps():
        for key in ("run", "uses", "shell", "working-directory"):
            if "${{" in str(step.data.get(key, "")):
                yield f"{step.place}: ${{{{ in {key}"
    for name, job in document.jobs.items():
        if "${{" in str(job.get("uses", "")):
            yield f"{document.name}: jobs.{name}: ${{{{ in uses"


def not_simple(document: Document) -> Iterator[str]:
    """Yield every `run:` that holds more than simple commands, or starts what is not known here."""
    for step in document.steps():
        if "run" not in step.data:
            continue
        if step.data.get("shell", "bash") != "bash":
            yield f"{step.place}: a shell that is not bash"
        try:
            found = commands(str(step.data["run"]))
        except NotSimpleError as error:
            yield f"{step.place}: {error}"
            continue
        if not found:
            yield f"{step.place}: runs nothing"
        for command in found:
            yield from (f"{step.place}: {what}" for what in _not_known(command, document))


def _not_known(command: Command, document: Document) -> Iterator[str]:
    literals = [word.literal for word in command.words]
    if command.output is not None and set(command.output.variables) & {"GITHUB_ENV", "GITHUB_PATH"}:
        yield "what later steps see is set in env:, not by a command"
    if script(command, document) is None and (literals[0] not in PROGRAMS or literals[0] == "sudo"):
        yield f"{command.program} is neither a script of ours nor in PROGRAMS"
    for literal in literals:
        if literal is not None and INTERPRETERS.fullmatch(literal.rpartition("/")[2]):
            yield f"{literal} runs text"
    if literals[0] == "nix":
        if len(literals) == 1 or literals[1] not in NIX_COMMANDS:
            yield f"nix {literals[1:2]} is not one of {sorted(NIX_COMMANDS)}"
        yield from (f"nix {literal} is code in a workflow" for literal in literals if literal in NIX_CODE)


def script(command: Command, document: Document) -> Path | None:
    """Return the script that a command starts, or None where it starts a program."""
    text = str(command.words[1] if command.program.literal == "sudo" and len(command.words) > 1 else command.program)
    if text.startswith("${GITHUB_ACTION_PATH}/"):
        return document.path.parent / text.removeprefix("${GITHUB_ACTION_PATH}/")
    if text.startswith("${GITHUB_WORKSPACE}/"):
        return ROOT / text.removeprefix("${GITHUB_WORKSPACE}/")
    return ROOT / text if "/" in text and not text.startswith(("/", "$")) else None


def scripts_missing(document: Document) -> Iterator[str]:
    """Yield scripts that are called and not there, or not executable, or outside the repository."""
    for step, command in runs(document):
        file = script(command, document)
        if file is None:
            continue
        if not file.resolve().is_relative_to(document.path.parent if document.is_action else ROOT):
            yield f"{step}: {command.program} lies elsewhere"
        elif not file.is_file() or not file.stat().st_mode & 0o111:
            yield f"{step}: {command.program} is not there, or not executable"


def runs(document: Document) -> Iterator[tuple[str, Command]]:
    """Yield every command with its place, of what passes `not_simple`."""
    for step in document.steps():
        try:
            yield from ((step.place, command) for command in commands(str(step.data.get("run", ""))))
        except NotSimpleError:
            continue


def our_arguments(command: Command) -> list[Any] | None:
    """Return the words after our own program's name, or None where another one is run."""
    literals = [word.literal for word in command.words]
    if literals[0] == "ec-release":
        return command.words[1:]
    if literals[:2] == ["nix", "run"] and "--" in literals:
        end = literals.index("--")
        # An action of ours runs the program of its own commit.
        ours = (".#ec-release", "path:${GITHUB_ACTION_PATH}/../../..#ec-release")
        if any(str(word) in ours for word in command.words[:end]):
            return command.words[end + 1 :]
    return None


RULES = (
    unpinned,
    too_many_rights,
    kept_credentials,
    without_end,
    on_the_mirror,
    passed_over,
    dangerous_events,
    machines_of_strangers,
    interpolated,
    not_simple,
    scripts_missing,
    dangling,
    wrong_calls,
)
