"""Which tags an image gets, by what happened. Pure.

Two classes, which never mix: what CI makes of every change of the main branch (`git-<commit>`, `edge`), and releases
(`v1.2.3`, `latest`). Tags are for people who look around: what is installed is a digest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ec_closure.decoding import excerpt
from ec_release.container import version
from ec_release.container.errors import EventError, VersionError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

Class = Literal["ci", "release"]

IMAGE = "runner-dashboard"
MAIN = "main"
EDGE, LATEST = "edge", "latest"
REGISTRY = "ghcr.io"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HOST = re.compile(r"[a-z0-9.-]+(?::[0-9]{1,5})?")
# A name of a user or an organisation; registries take it in small letters alone.
_OWNER = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}")


@dataclass(frozen=True)
class Tags:
    """What an image is called. *fixed* is of its commit or release, *moving* names the newest of its class."""

    name: str
    fixed: str
    moving: str | None

    @property
    def all(self) -> tuple[str, ...]:
        """Every tag, the fixed one first."""
        return (self.fixed,) if self.moving is None else (self.fixed, self.moving)


def of_event(kind: Class, *, event: str, ref: str, commit: str, owner: str, registry: str = REGISTRY) -> Tags:
    """Return the tags of an image of class *kind*, built from *commit* because *event* happened to *ref*.

    *owner* is whose repository it is; *registry* is a host. Raises `EventError` where such an event publishes no image
    of that class: a pull request, another branch, a tag that is no release, or a tag that asks for the other class.
    """
    if not _COMMIT.fullmatch(commit):
        raise EventError(f"{excerpt(commit, 80)!r} is no commit", hint="forty hexadecimal digits")
    if not _OWNER.fullmatch(owner):
        raise EventError(f"{excerpt(owner, 80)!r} is no owner of a repository")
    if not _HOST.fullmatch(registry):
        raise EventError(f"{excerpt(registry, 80)!r} is no host of a registry")
    name = f"{registry}/{owner.lower()}/{IMAGE}"
    if kind == "ci":
        if event not in ("push", "workflow_dispatch") or ref != f"refs/heads/{MAIN}":
            raise _not_by(kind, event, ref, f"a push to {MAIN}, or a manual run there")
        return Tags(name, f"git-{commit}", EDGE)
    if event != "push" or not ref.startswith("refs/tags/"):
        raise _not_by(kind, event, ref, "a pushed tag v1.2.3")
    try:
        released = version.parse(ref.removeprefix("refs/tags/"))
    except VersionError as error:
        raise EventError(error.message, hint=error.hint) from error
    return Tags(name, released.tag, LATEST if released.is_final else None)


def is_newest(tag: str, others: tuple[str, ...]) -> bool:
    """Tell whether `latest` may move to release *tag* where *others* are published: none of them is higher."""
    ours = version.parse(tag)
    known = [version.parse(other) for other in others if version.is_release(other)]
    return all(other <= ours for other in known if other.is_final)


def is_overtaken(later: Iterable[str], others: Collection[str], suffix: str = "") -> bool:
    """Tell whether one of the commits *later* has an image among the tags *others*: `edge` is not to go back then."""
    return any(f"git-{commit}{suffix}" in others for commit in later)


def _not_by(kind: str, event: str, ref: str, what: str) -> EventError:
    return EventError(
        f"{excerpt(event, 40)} of {excerpt(ref, 80)} publishes no image of class {kind}", hint=f"what does: {what}"
    )
