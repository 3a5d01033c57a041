"""What happened, as the runner tells it: whether this run may push, and by which tags.

Source: GitHub's documentation of default variables and of webhook payloads; Forgejo sets the same.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ec_closure.decoding import explain
from ec_release.images import names
from ec_release.images.errors import EventError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACE = "GITHUB_EVENT_PATH"
_MAX_PAYLOAD = 64 << 20
_MAX_NUMBER = 1 << 31


class _Repository(msgspec.Struct):
    full_name: str | None = None
    default_branch: str | None = None


class _Head(msgspec.Struct):
    sha: str = ""
    # Null when the fork is gone
    repo: _Repository | None = None


class _PullRequest(msgspec.Struct):
    number: int
    head: _Head


class _WorkflowRun(msgspec.Struct):
    head_repository: _Repository | None = None


class _Payload(msgspec.Struct):
    repository: _Repository | None = None
    pull_request: _PullRequest | None = None
    workflow_run: _WorkflowRun | None = None


@dataclass(frozen=True)
class Event:
    """One event of the repository *repository*. *commits* are those that it is about."""

    name: str
    repository: str
    ref: str
    commits: tuple[str, ...]
    default_branch: str = "main"
    pull_request: int | None = None
    foreign: bool = False

    def tags(self, commit: str, suffix: str = "") -> tuple[str, ...]:
        """Return the tags of an image that was built from *commit*, the one that stays first. Raises `NamingError`.

        Tags that move (`latest`, `pr-7`) are for the event's own commit: a run that builds something else, as one
        of `main` can be told to, does not move them.
        """
        moving = []
        if commit in self.commits and self.pull_request is not None:
            moving.append(f"pr-{self.pull_request}")
        elif self.moves_latest(commit):
            moving.append("latest")
        return tuple(names.tag(f"{tag}{suffix}") for tag in (f"git-{commit}", *moving))

    def moves_latest(self, commit: str) -> bool:
        """Tell whether an image that was built from *commit* may be the default branch's newest."""
        return commit in self.commits and self.pull_request is None and self.ref == f"refs/heads/{self.default_branch}"

    def refusal(self) -> str | None:
        """Return why this run pushes nothing, or None."""
        if self.foreign:
            return "it runs what a fork proposes, and a fork has no right to push"
        return None


NO_EVENT = Event(name="", repository="", ref="", commits=())
"""Somebody's desk: only the tag that stays."""


def read(environ: Mapping[str, str] = os.environ) -> Event:
    """Return the event that the runner tells of, or `NO_EVENT` where there is no runner. Raises `EventError`."""
    name = environ.get("GITHUB_EVENT_NAME", "")
    if not name:
        return NO_EVENT
    return decode(_payload(environ.get("GITHUB_EVENT_PATH", "")), environ)


def decode(data: bytes, environ: Mapping[str, str]) -> Event:
    """Return the event that a runner with these variables and the payload *data* tells of. Raises `EventError`."""
    name = environ.get("GITHUB_EVENT_NAME", "")
    try:
        payload = msgspec.json.decode(data, type=_Payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        message, where = explain(error, _PLACE)
        raise EventError(message, place=where) from error
    repository = environ.get("GITHUB_REPOSITORY", "")
    pull_request = payload.pull_request
    if pull_request is None and name.startswith("pull_request"):
        raise EventError(f"{name} without a pull request", place=_PLACE)
    if pull_request is not None and not 0 < pull_request.number < _MAX_NUMBER:
        raise EventError(f"{pull_request.number} is the number of no pull request", place=_PLACE)
    commits = [environ.get("GITHUB_SHA", ""), *([] if pull_request is None else [pull_request.head.sha])]
    return Event(
        name=name,
        repository=repository,
        ref=environ.get("GITHUB_REF", ""),
        commits=tuple(commit for commit in commits if commit),
        default_branch=(payload.repository and payload.repository.default_branch) or "main",
        pull_request=None if pull_request is None else pull_request.number,
        foreign=_foreign(payload, repository),
    )


def _foreign(payload: _Payload, repository: str) -> bool:
    """Tell whether what is built comes from another repository, or from nobody knows which."""
    heads = []
    if payload.pull_request is not None:
        heads.append(payload.pull_request.head.repo)
    if payload.workflow_run is not None:
        heads.append(payload.workflow_run.head_repository)
    return any(head is None or (head.full_name or "").lower() != repository.lower() for head in heads)


def _payload(file: str) -> bytes:
    try:
        with Path(file).open("rb") as stream:
            data = stream.read(_MAX_PAYLOAD + 1)
    except OSError as error:
        raise EventError(f"cannot be read: {error.strerror}", place=_PLACE) from error
    if len(data) > _MAX_PAYLOAD:
        raise EventError(f"is larger than {_MAX_PAYLOAD >> 20} MiB", place=_PLACE)
    return data
