"""Pushes images: all are tried, each tag is read back, and what failed is told at the end.

1. Which: descriptors say what was built; the flake itself says what may be pushed, and is asked again here.
2. Build what copies an image: `passthru.copyTo`.
3. Run it, once a tag, with credentials in a file; again with back-off where that can help.
4. Read back: every tag names the digest that was pushed, and all tags of an image name one.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import stamina
import structlog

from ec_closure.errors import EcError, UsageError
from ec_release import nix_settings, program
from ec_release.authority import declaration
from ec_release.container.registry import Repository
from ec_release.container.tags import is_overtaken
from ec_release.images import names, registry
from ec_release.images.errors import CopyToError, DigestError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from ec_release.images.descriptor import Descriptor
    from ec_release.images.outputs import Flake


_T = TypeVar("_T")


@dataclass(frozen=True)
class Insistence:
    """How often an image is tried, and how long one try may take; *wait* and *deadline* are in seconds."""

    attempts: int = 5
    wait: float = 2.0
    deadline: float = 3600.0


@dataclass(frozen=True)
class Overtaking:
    """The commits *later* than ours on the branch that `latest` is of: where one has an image, `latest` stays."""

    later: frozenset[str] = frozenset()
    suffix: str = ""


@dataclass(frozen=True)
class Target:
    """Where images go, as whom. *hide* is the password, which no output shows."""

    registry: str
    namespace: str
    auth: Path
    hide: str
    tags: tuple[str, ...]
    overtaking: Overtaking = Overtaking()


@dataclass
class Pushed:
    """What became of one image. *replaced* is what the lasting tag named before, if that was something else.

    *stayed* is the tag that was not moved, because a later commit has an image.
    """

    image: str
    repository: str
    digest: str | None = None
    tags: list[str] = field(default_factory=list)
    replaced: str | None = None
    stayed: str | None = None
    error: EcError | None = None

    @property
    def reference(self) -> str:
        """The image by its digest."""
        return f"{self.repository}@{self.digest}"


def not_ours_to_push(top: Path) -> dict[str, str]:
    """Return the outputs that the release authority of the flake at *top* does not let CI push, with the reason.

    None where there is no such file. Raises `DeclarationError` for one that cannot be read as such: then nothing says
    what may be pushed.
    """
    file = top / declaration.PATH
    if not file.exists():
        return {}
    with file.open("rb") as stream:
        declared = declaration.decode(stream.read(declaration.MAX_BYTES + 1))
    return {
        surface.attribute.removeprefix("packages."): f"{surface.role} in {declaration.PATH}"
        for surface in declared.surface
        if surface.attribute is not None and surface.role != "authoritative"
    }


def allowed(
    flake: Flake, system: str, descriptors: Sequence[Descriptor], withheld: Collection[str]
) -> tuple[list[Descriptor], dict[str, str], list[EcError]]:
    """Return which of *descriptors* may be pushed, why others are not to be, and which are mistakes.

    *withheld* are outputs, or images by their names, that the caller does not push. Raises `DeclarationError`.
    """
    held = {**not_ours_to_push(flake.top), **dict.fromkeys(withheld, "the caller says so: --withhold")}
    outputs = {one.name: one for one in flake.named("packages", system, [one.name for one in descriptors])}
    fine: list[Descriptor] = []
    left: dict[str, str] = {}
    wrong: list[EcError] = []
    for one in descriptors:
        output = outputs[one.name]
        if output.error is not None:
            wrong.append(CopyToError(output.error, place=one.name))
        elif not output.copies:
            wrong.append(CopyToError("has no passthru.copyTo: it is no image", place=one.name))
        elif output.skip or output.withheld:
            left[one.base] = "the flake says so: meta.ci"
        elif reason := held.get(one.name) or held.get(one.base):
            left[one.base] = reason
        else:
            fine.append(one)
    if unknown := set(withheld) - {name for one in descriptors for name in (one.name, one.base)}:
        structlog.get_logger().info("nothing of that name was built", withhold=sorted(unknown))
    return fine, left, wrong


def push(flake: Flake, one: Descriptor, target: Target, insistence: Insistence) -> Pushed:
    """Push one image by all tags. What went wrong is in the result, with what had been pushed until then."""
    done = Pushed(one.base, names.repository(target.registry, target.namespace, one.base))
    try:
        _build(flake, one, target, insistence)
        lasting = f"{done.repository}:{target.tags[0]}"
        before = _present(lasting, target)
        for tag in target.tags:
            if tag != target.tags[0] and _is_overtaken(done.repository, target):
                done.stayed = tag
                continue
            reference = f"{done.repository}:{tag}"
            found = _insisting(insistence, partial(_copy, flake, one, reference, target, insistence))
            _insisting(insistence, partial(_read_back, reference, found, target))
            if done.digest not in (None, found):
                raise DigestError(f"is {found}, and {target.tags[0]} is {done.digest}", place=reference)
            done.digest = found
            done.tags.append(tag)
        if before not in (None, done.digest):
            done.replaced = before
            structlog.get_logger().warning(
                "the same commit gave other bytes before: this image is not reproducible", image=lasting, before=before
            )
    except EcError as error:
        done.error = error
    return done


def _is_overtaken(repository: str, target: Target) -> bool:
    later = target.overtaking.later
    if not later:
        return False
    return is_overtaken(later, Repository(repository, target.auth).tags(), target.overtaking.suffix)


def _build(flake: Flake, one: Descriptor, target: Target, insistence: Insistence) -> None:
    argv = [flake.nix, *nix_settings.FEATURES, "build", "--no-link", "--no-update-lock-file", *flake.options]
    try:
        env = program.environment(target.hide)
        program.watch(
            [*argv, f".{one.run_attr}"], env=env, cwd=flake.top, deadline=insistence.deadline, hide=target.hide
        )
    except program.ProgramError as error:
        raise CopyToError(error.message, place=f".{one.run_attr}", hint="`nix build` shows the whole log") from error


def _copy(flake: Flake, one: Descriptor, reference: str, target: Target, insistence: Insistence) -> str:
    """Copy the image to *reference* and return the digest that was pushed."""
    with tempfile.TemporaryDirectory(prefix="ec-release-") as scratch:
        digest_file = Path(scratch) / "digest"
        argv = [
            *(flake.nix, *nix_settings.FEATURES, "run", "--no-update-lock-file", *flake.options),
            *(f".{one.run_attr}", "--", f"docker://{reference}"),
            *("--dest-authfile", str(target.auth), "--digestfile", str(digest_file)),
        ]
        env = program.environment(target.hide, REGISTRY_AUTH_FILE=str(target.auth))
        structlog.get_logger().info("pushing", image=reference)
        try:
            program.watch(argv, env=env, cwd=flake.top, deadline=insistence.deadline, hide=target.hide)
        except program.FailedError as error:
            raise registry.failure(error, reference) from error
        try:
            digest = digest_file.read_text().strip()
        except OSError:
            digest = ""
    if not registry.DIGEST.fullmatch(digest):
        raise CopyToError(
            "does not say which digest it pushed",
            place=f".{one.run_attr}",
            hint="copyTo hands its arguments on to `skopeo copy`, --digestfile among them",
        )
    return digest


def _read_back(reference: str, pushed: str, target: Target) -> None:
    found = registry.digest(reference, target.auth)
    if found != pushed:
        raise DigestError(
            f"the registry holds {found} where {pushed} was pushed",
            place=reference,
            hint="does another workflow push by this name? Use the digest, not the tag",
        )


def _present(reference: str, target: Target) -> str | None:
    """Return what *reference* names by now; None also where that cannot be told: a private package says 403."""
    try:
        return registry.digest(reference, target.auth)
    except EcError:
        return None


def _insisting(insistence: Insistence, work: Callable[[], _T]) -> _T:
    """Return what *work* returns, tried again with back-off where the registry, or the way to it, failed."""
    for attempt in stamina.retry_context(
        on=RegistryError,
        attempts=insistence.attempts,
        timeout=None,
        wait_initial=insistence.wait,
        wait_max=60.0,
        wait_jitter=insistence.wait / 2,
    ):
        with attempt:
            found = work()
    return found


def check(insistence: Insistence) -> Insistence:
    """Return *insistence* if it makes sense. Raises `UsageError`."""
    if insistence.attempts < 1 or insistence.wait < 0 or insistence.deadline <= 0:
        raise UsageError("at least one attempt, and no time below zero")
    return insistence
