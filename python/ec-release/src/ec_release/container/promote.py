"""Moving tags to an image that was scanned, signed and verified: the last step, and the only one that people see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_release.container import tags as naming
from ec_release.container import version
from ec_release.container.errors import MovedError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Collection

    from ec_release.container.registry import Repository
    from ec_release.container.tags import Tags


@dataclass(frozen=True)
class Promoted:
    """What came of it: the reference to install, tags that name it now, and the moving tag that stayed where it was."""

    reference: str
    tags: tuple[str, ...]
    stayed: str | None


def promote(repository: Repository, digest: str, tags: Tags, later: Collection[str] = ()) -> Promoted:
    """Let *tags* name the image *digest*, the fixed one first. Done again, it changes nothing.

    A release's tag never moves: `MovedError` when it names another image. `latest` stays with a higher release, and
    `edge` with an image of a commit that is *later* than ours: an old run that is run again moves nothing back. Whether
    the image was scanned and signed is not checked here: the workflow verifies the signature before. Raises
    `BaseError` for what is no digest, `RegistryError`.
    """
    reference = repository.at(digest)
    released = version.is_release(tags.fixed)
    if released and (known := repository.digest(tags.fixed)) not in (None, digest):
        raise MovedError(
            f"{tags.fixed} names {known} already",
            place=repository.name,
            hint="a release keeps its bytes: make a new one with a higher version",
        )
    moving = tags.moving
    stayed = None
    if moving is not None and (released or later):
        others = repository.tags()
        older = not naming.is_newest(tags.fixed, others) if released else naming.is_overtaken(later, others)
        if older:
            moving, stayed = None, moving
    named = (tags.fixed,) if moving is None else (tags.fixed, moving)
    for tag in named:
        repository.name_it(digest, tag)
        if (found := repository.digest(tag)) != digest:
            raise RegistryError(f"{tag} was to name {digest}, and names {found}", place=repository.name)
    return Promoted(reference, named, stayed)
