"""What is judged: the declaration, the files, what workflows do, what the flake and the stack say. Values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ec_closure.decoding import excerpt
from ec_closure.errors import BadInputError
from ec_closure.release_gate import Finding
from ec_release.authority import declaration, hcl, references
from ec_release.authority.deeds import Deed, deeds_of
from ec_release.authority.errors import DeclarationError
from ec_release.authority.findings import KINDS
from ec_release.authority.flake import Flake
from ec_release.authority.sources import Files, Place
from ec_release.authority.walk import Walk, line_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_release.authority.declaration import Declaration, Surface
    from ec_release.authority.runs import WorkflowRun

_MAX_MESSAGE = 600


@dataclass(frozen=True)
class Facts:
    """What rules look at.

    *tofu* are OpenTofu's files that could be read, *unread* says why others could not; *called* are workflows that
    others here call.
    """

    files: Files
    declared: Declaration
    path: str
    runs: tuple[WorkflowRun, ...]
    deeds: tuple[Deed, ...]
    flake: Flake
    tofu: dict[str, hcl.Document] = field(default_factory=dict)
    unread: tuple[tuple[Place, str], ...] = ()
    called: frozenset[str] = frozenset()

    @property
    def repository(self) -> str:
        """The repository name of the dashboard's image, as references have it."""
        return references.repository(self.declared.dashboard.repository, self.declared.repository)

    @property
    def authority(self) -> Surface:
        """The surface that is authoritative for the dashboard."""
        return self.declared.surface_named(self.declared.dashboard.authority)

    def reference(self, text: str) -> references.Reference:
        """Return the image that *text* names."""
        return references.parse(text, self.declared.repository)

    def declared_at(self, needle: str) -> Place:
        """Return the line of the declaration that holds *needle*."""
        return self.files.place_of(self.path, needle)

    def surface_of(self, source: str) -> Surface | None:
        """Return the declared surface that a publication's source is."""
        kind, _, name = source.partition(":")
        for one in self.declared.surface:
            if kind == "flake" and (one.attribute or "").rpartition(".")[2] == name:
                return one
            if kind == "dockerfile" and one.kind == "dockerfile-image" and one.source == name:
                return one
        return None


def gather(files: Files, path: str = declaration.PATH) -> Facts:
    """Return the facts of a repository. Raises `DeclarationError`."""
    data = files.texts.get(path)
    if data is None:
        raise DeclarationError("is not there", place=path, hint="docs/release-authority.md describes it; see --root")
    declared = declaration.decode(data, what=path)
    walk = Walk(files, declared.repository)
    runs = tuple(walk.workflows())
    deeds = tuple(deed for run in runs for deed in deeds_of(run, files))
    tofu: dict[str, hcl.Document] = {}
    unread: list[tuple[Place, str]] = []
    for file in files.texts:
        if re.search(r"\.(?:tf|tofu|tfvars|hcl)(?:\.example)?$", file) and not file.endswith(".lock.hcl"):
            try:
                tofu[file] = hcl.read(files.texts[file], what=file)
            except BadInputError as error:
                unread.append((Place(file, line_of(error.place)), error.message))
    return Facts(files, declared, path, runs, deeds, Flake(files), tofu, tuple(unread), frozenset(walk.called))


def finding(code: str, place: Place, message: str, via: Iterable[Place] = ()) -> Finding:
    """Return a finding of that kind at *place*."""
    return Finding(
        code=code,
        severity=KINDS[code].severity,
        file=excerpt(place.file, _MAX_MESSAGE),
        line=place.line,
        message=excerpt(message, _MAX_MESSAGE),
        via=tuple(excerpt(str(one), _MAX_MESSAGE) for one in via),
    )
