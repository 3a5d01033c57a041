"""`docs/release-authority.toml`: which path publishes what, and who owns it. Pure.

The format is `ec-runner.release-authority.v1`; `docs/release-authority.md` describes it for people.
"""

from __future__ import annotations

import fnmatch
from typing import Annotated, Literal

import msgspec

from ec_closure import config_file
from ec_release.authority.errors import DeclarationError

SCHEMA = "ec-runner.release-authority.v1"
PATH = "docs/release-authority.toml"
MAX_BYTES = 1 << 16
_HINT = "docs/release-authority.md describes the format"

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,63}$(?!\n)")]
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)")]
Path = Annotated[
    str, msgspec.Meta(max_length=256, pattern=r"^(?!/)(?!(?:.*/)?\.\.?(?:/|$))[A-Za-z0-9._][A-Za-z0-9._/-]*$(?!\n)")
]
"""A path from the top of the repository."""
Role = Annotated[str, msgspec.Meta(min_length=3, max_length=64, pattern=r"^[a-z][a-z -]+$(?!\n)")]
"""Who answers for something, as a role: no name, no address."""
Pattern = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}\*?$(?!\n)")]
"""A tag, or the beginning of one before `*`."""


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file: nothing unknown in it is accepted."""


class Owners(Table, frozen=True, kw_only=True):
    """Who answers: for promoting a release, for what breaks, for a scan or a signature that fails."""

    promotion: Role
    breakage: Role
    security: Role


class Surface(Table, frozen=True, kw_only=True):
    """One form in which something of ours exists. *attribute* is the flake's, *source* the file that makes it."""

    name: Name
    kind: Literal["dockerfile-image", "nix-image", "derivation", "flakehub", "boot-image"]
    role: Literal["authoritative", "non-authoritative", "internal", "none"]
    source: Path | None = None
    attribute: Line | None = None
    says: Line


class Workflow(Table, frozen=True, kw_only=True):
    """A workflow that publishes. *tags* are those that it alone may write; *output* tells CI's from a release."""

    file: Path
    output: Literal["ci", "release"]
    tags: Annotated[tuple[Pattern, ...], msgspec.Meta(max_length=16)] = ()


class Install(Table, frozen=True, kw_only=True):
    """How operators take it: a variable of a stack of OpenTofu, which must name a digest."""

    stack: Path
    variable: Name


class Dashboard(Table, frozen=True, kw_only=True):
    """The dashboard's image: the surface that is authoritative, where it is published, and by what."""

    authority: Name
    repository: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9.:-]+(?:/(?:[a-z0-9._-]+|\{owner\}))+$(?!\n)")]
    requires: Annotated[
        tuple[Literal["scan", "signature", "verification"], ...], msgspec.Meta(min_length=1, max_length=3)
    ]
    workflow: Annotated[tuple[Workflow, ...], msgspec.Meta(max_length=16)]
    install: Install
    owners: Owners
    revisit: Annotated[tuple[Line, ...], msgspec.Meta(min_length=1, max_length=16)]


class BootImages(Table, frozen=True, kw_only=True):
    """The boot images: releases of a forge, with TUF metadata. A product of its own, with another authority."""

    authority: Name
    workflow: Annotated[tuple[Workflow, ...], msgspec.Meta(max_length=16)]
    metadata: Annotated[tuple[Path, ...], msgspec.Meta(max_length=16)]
    owners: Owners


class Documents(Table, frozen=True, kw_only=True):
    """The documents that tell the story, by what they are for."""

    authority: Path
    overview: Path
    container: Path
    release: Path
    images: Path
    onboarding: Annotated[tuple[Path, ...], msgspec.Meta(min_length=1, max_length=16)]
    decisions: Annotated[tuple[Path, ...], msgspec.Meta(min_length=1, max_length=16)]

    @property
    def primary(self) -> tuple[str, ...]:
        """The documents that must lead to the one about authority."""
        return (self.overview, self.container, self.release, self.images, *self.onboarding)


class Proposal(Table, frozen=True, kw_only=True):
    """A change of authority that somebody thought of. It stays a proposal until every gate is met."""

    name: Name
    surfaces: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=4)]
    canonical: Name
    transition: Role
    owners: Owners | None = None
    says: Line


class Announcement(Table, frozen=True, kw_only=True):
    """A file of this repository that writes something else to a forge's releases: release notes, say."""

    file: Path
    says: Line


class Declaration(Table, frozen=True, kw_only=True):
    """The whole file. *repository* is what the repository is called on its forge: `owner/name`."""

    schema: Literal["ec-runner.release-authority.v1"]
    repository: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$(?!\n)")]
    surface: Annotated[tuple[Surface, ...], msgspec.Meta(min_length=1, max_length=32)]
    dashboard: Dashboard
    boot_images: BootImages
    documents: Documents
    announcement: Annotated[tuple[Announcement, ...], msgspec.Meta(max_length=16)] = ()
    proposal: Annotated[tuple[Proposal, ...], msgspec.Meta(max_length=16)] = ()

    def surface_named(self, name: str) -> Surface:
        """Return a surface by its name, which `decode` has looked up."""
        return next(one for one in self.surface if one.name == name)


def decode(data: bytes, *, what: str = PATH) -> Declaration:
    """Decode a declaration. Raises `DeclarationError`.

    Checked here: names are unique and known, one surface of the dashboard's image is authoritative, tags of one
    workflow are not also another's. What the repository says to it is the rules' business.
    """
    if len(data) > MAX_BYTES:
        raise DeclarationError(f"more than the {MAX_BYTES} bytes that are accepted", place=what)
    declared = config_file.decode(data, Declaration, what=what, error=DeclarationError, hint=_HINT)
    names = [one.name for one in declared.surface]
    for place, name in (
        ("dashboard.authority", declared.dashboard.authority),
        ("boot_images.authority", declared.boot_images.authority),
        *((f"proposal.{one.name}", name) for one in declared.proposal for name in (*one.surfaces, one.canonical)),
    ):
        if name not in names:
            raise DeclarationError(f"no surface is called {name}", place=f"{what}: {place}", hint=_HINT)
    _unique("surface", names, what)
    _unique("proposal", [one.name for one in declared.proposal], what)
    _unique("dashboard.workflow", [one.file for one in declared.dashboard.workflow], what)
    authoritative = [one.name for one in declared.surface if one.role == "authoritative" and one.kind != "boot-image"]
    if authoritative != [declared.dashboard.authority]:
        said = " and ".join(authoritative) or "none"
        message = f"surfaces call {said} authoritative, and the dashboard {declared.dashboard.authority}"
        raise DeclarationError(message, place=f"{what}: surface", hint="one surface is the authority, and is called so")
    if declared.surface_named(declared.boot_images.authority).role != "authoritative":
        raise DeclarationError("its surface is not authoritative", place=f"{what}: boot_images.authority", hint=_HINT)
    _disjoint(declared.dashboard.workflow, what)
    return declared


def _unique(place: str, names: list[str], what: str) -> None:
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise DeclarationError(f"{twice} stands twice", place=f"{what}: {place}", hint="leave one")


def _disjoint(workflows: tuple[Workflow, ...], what: str) -> None:
    for at, one in enumerate(workflows):
        for other in workflows[:at]:
            for tag in one.tags:
                both = next((their for their in other.tags if overlap(tag, their)), None)
                if both is not None:
                    message = f"{other.file} and {one.file} may both write {tag}" + (
                        f" ({both})" if both != tag else ""
                    )
                    raise DeclarationError(
                        message, place=f"{what}: dashboard.workflow", hint="give each workflow tags of its own"
                    )


def overlap(one: str, other: str) -> bool:
    """Tell whether a tag fits both patterns."""
    first, second = one.removesuffix("*"), other.removesuffix("*")
    if one.endswith("*") and other.endswith("*"):
        return first.startswith(second) or second.startswith(first)
    return fnmatch.fnmatchcase(second, one) if one.endswith("*") else fnmatch.fnmatchcase(first, other)
