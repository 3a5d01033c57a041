"""The source that a release names, held against what the public repository shows."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ec_closure.nar.hash import hash_path
from ec_release.audit.checking import NotDone, Seen
from ec_release.closure import lock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ec_closure.manifest import Manifest, Source
    from ec_release.audit.git import PublicRepository


@dataclass(frozen=True)
class Exported:
    """The files of a commit: the hash of their NAR (SRI), and what their flake.lock fixes."""

    nar_hash: str
    lock: lock.Lock


def claimed(described: Mapping[str, Manifest]) -> Source:
    """Return the source that the manifests name. Raises `NotDone` when none names a commit, or they disagree."""
    sources = [one.source for one in described.values()]
    if not sources or any((one.rev, one.nar_hash) != (sources[0].rev, sources[0].nar_hash) for one in sources):
        raise NotDone("the manifests name no one source")
    if sources[0].rev is None:
        raise NotDone("the manifests name no commit")
    return sources[0]


class PublicSource:
    """The public *repository* (None: none was named), read when first asked for; files are written to *scratch*.

    Methods raise `NotDone` where it cannot be read.
    """

    def __init__(self, repository: PublicRepository | None, scratch: Path, report: Callable[[str], None]) -> None:
        self._repository = repository
        self._scratch = scratch
        self._report = report
        self._unread: NotDone | None = None
        self._was_read = False
        self._exported: Exported | None = None

    def same(self, claimed: Source) -> Seen:
        """Return whether the public commit is, byte by byte, what CI signed."""
        repository, rev = self._read(), str(claimed.rev)
        if not repository.holds(rev):
            return Seen("", [f"the repository does not hold the signed commit {rev}"])
        found = self._export(rev).nar_hash
        seen = Seen(f"commit {rev} has the signed hash {claimed.nar_hash}")
        if found != claimed.nar_hash:
            seen.problems.append(f"commit {rev} hashes to {found} where {claimed.nar_hash} is signed")
        return seen

    def inputs(self, claimed: Source, described: Mapping[str, Manifest]) -> Seen:
        """Return whether the public lock file fixes the inputs that the manifests name."""
        if not self._read().holds(str(claimed.rev)):
            raise NotDone("the repository does not hold the signed commit")
        public = self._export(str(claimed.rev)).lock
        fixed = {entry.name: entry.nar_hash.sri for entry in public.inputs}
        problems: list[str] = []
        for source in (one.source for one in described.values()):
            if source.lock_hash != public.sha256:
                problems.append("flake.lock is not the one that is signed")
            said = {name: entry.nar_hash for name, entry in source.inputs.items()}
            problems += [
                f"the input {name} is signed with another hash than flake.lock has"
                for name in sorted(fixed.keys() | said.keys())
                if fixed.get(name) != said.get(name)
            ]
        return Seen(f"{len(fixed)} inputs, as flake.lock fixes them", list(dict.fromkeys(problems)))

    def tag_points(self, tag: str, claimed: Source) -> Seen:
        """Return whether *tag* points to the commit that CI signed."""
        found = self._read().commit_of(tag)
        seen = Seen(f"points to {claimed.rev}")
        if found is None:
            seen.problems.append(f"the repository has no tag {tag}")
        elif found != claimed.rev:
            seen.problems.append(f"the tag {tag} points to {found} where {claimed.rev} is signed")
        return seen

    def tag_signed(self, tag: str, signers: Path) -> Seen:
        """Return whether one of the allowed *signers* signed *tag* under that name. Raises `SourceError`."""
        repository = self._read()
        if repository.commit_of(tag) is None:
            return Seen("", [f"the repository has no tag {tag}"])
        name = repository.signed_name(tag)
        if name is None:
            return Seen("", [f"the tag {tag} is a mere pointer, and carries no signature"])
        if name != tag:
            return Seen("", [f"the tag {tag} was made under the name {name}"])
        return Seen(repository.verify_tag(tag, signers))

    def _read(self) -> PublicRepository:
        if self._repository is None:
            raise NotDone("no repository was named: give --source")
        if self._unread is not None:
            raise self._unread
        if not self._was_read:
            self._report("source")
            try:
                self._repository.read()
            except NotDone as error:
                self._unread = error
                raise
            self._was_read = True
        return self._repository

    def _export(self, rev: str) -> Exported:
        """Return the files of *rev* as nodes would have them. Raises `SourceError`, `LimitError`, `LockError`."""
        if self._exported is None:
            tree = Path(tempfile.mkdtemp(dir=self._scratch)) / "source"
            self._read().export(rev, tree)
            self._exported = Exported(hash_path(tree).hash.sri, lock.read(tree / "flake.lock"))
        return self._exported
