"""One repository of a registry, by skopeo: which tags there are, what a tag names, and naming it.

Credentials are those of `docker login` (the user's auth file); none stand on a command line. Every call is tried three
times unless the registry refuses: others work on the same registry, and it is not always there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import stamina

from ec_closure import strict_json
from ec_closure.errors import BadInputError
from ec_release import program
from ec_release.container.base import check_digest
from ec_release.container.errors import BaseError, RegistryError
from ec_release.images import errors, registry

if TYPE_CHECKING:
    from pathlib import Path

_ATTEMPTS = 3
_WAIT = 1.0
_MAX_TAGS = 64 << 20
_ABSENT = re.compile(r"manifest unknown|name unknown|not found|404", re.IGNORECASE)
_LOOPBACK = re.compile(r"(?:localhost|127\.0\.0\.1)(?::\d+)?/")


class _Tags(msgspec.Struct, frozen=True):
    tags: tuple[str, ...] = msgspec.field(name="Tags")


class _FailedError(RegistryError):
    """One call failed; another may not."""


class _AbsentError(RegistryError):
    """What was asked for is not there."""


class Repository:
    """The repository *name*, `host/path`. *auth_file* replaces the user's own. Loopback is spoken to without TLS."""

    def __init__(self, name: str, auth_file: Path | None = None) -> None:
        self.name = name
        self._options = [] if auth_file is None else [f"--authfile={auth_file}"]
        self._plain = bool(_LOOPBACK.match(f"{name}/"))

    def at(self, digest: str) -> str:
        """Return the reference of an image by digest: the one text by which it is installed."""
        return f"{self.name}@{check_digest(digest)}"

    def tags(self) -> tuple[str, ...]:
        """Return all tags: none where nothing was pushed yet. Raises `RegistryError`."""
        try:
            said = self._skopeo("list-tags", *self._tls(""), f"docker://{self.name}")
        except _AbsentError:
            return ()
        try:
            return strict_json.decode(said.encode(), _Tags, what=self.name, max_bytes=_MAX_TAGS).tags
        except BadInputError as error:
            raise RegistryError(f"skopeo gave no list of tags: {error.message}", place=self.name) from error

    def digest(self, tag: str) -> str | None:
        """Return the digest that *tag* names, None where it names nothing. Raises `RegistryError`."""
        try:
            said = self._skopeo(
                "inspect", "--no-tags", "--format={{.Digest}}", *self._tls(""), f"docker://{self.name}:{tag}"
            )
        except _AbsentError:
            return None
        try:
            return check_digest(said.strip())
        except BaseError as error:
            raise RegistryError(error.message, place=f"{self.name}:{tag}") from error

    def name_it(self, digest: str, tag: str) -> None:
        """Let *tag* name the image *digest*, byte for byte the manifest that is there. Raises `RegistryError`."""
        options = [*self._tls("src-"), *self._tls("dest-")]
        self._skopeo(
            "copy", "--all", "--preserve-digests", "--quiet", *options,
            f"docker://{self.at(digest)}", f"docker://{self.name}:{tag}",
        )  # fmt: skip

    def _tls(self, end: str) -> list[str]:
        return [f"--{end}tls-verify=false"] if self._plain else []

    def _skopeo(self, command: str, *arguments: str) -> str:
        for attempt in stamina.retry_context(on=_FailedError, attempts=_ATTEMPTS, timeout=None, wait_initial=_WAIT):
            with attempt:
                said = self._once(["skopeo", command, *self._options, *arguments])
        return said

    def _once(self, argv: list[str]) -> str:
        try:
            return program.ask(argv, env=program.environment()).output.decode(errors="replace")
        except program.FailedError as error:
            meant = registry.failure(error, self.name)
            kind: type[RegistryError] = _FailedError if isinstance(meant, errors.RegistryError) else RegistryError
            # Only a registry that answers can say so: a failure that may pass, in whatever words, names nothing absent.
            if isinstance(meant, errors.RefusedError) and _ABSENT.search(error.message):
                kind = _AbsentError
            raise kind(error.message, place=self.name) from error
