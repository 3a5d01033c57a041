"""The part of Forgejo's API v1 that publishing needs: releases of one repository, their assets, its tags.

Names and types are those of the server's own description (`swagger.v1.json`). Every call may be repeated after an
answer that was lost, except making a release or an asset: see `make_release`, `ReleaseAssets.add`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from ec_release.backend.forgejo.answers import bare
from ec_release.backend.forgejo.http import TemporaryError
from ec_release.errors import BackendError

if TYPE_CHECKING:
    from ec_release.backend.forgejo.http import Http
    from ec_release.backend.forgejo.upload import Form

_PAGE = 50
_MAX_PAGES = 2000
_T = TypeVar("_T")


class Attachment(msgspec.Struct, frozen=True):
    """One asset of a release; *size* in bytes, *type* `attachment` or `external`."""

    id: int
    name: str
    size: int
    browser_download_url: str
    type: str = "attachment"


class Release(msgspec.Struct, frozen=True):
    """One release, published or a *draft*."""

    id: int
    tag_name: str
    draft: bool
    prerelease: bool
    html_url: str = ""


class _Commit(msgspec.Struct, frozen=True):
    sha: str


class _Tag(msgspec.Struct, frozen=True):
    id: str
    commit: _Commit


class Api:
    """Calls on one repository. *base* is the API's address (`https://host/api/v1`). Methods raise `BackendError`."""

    def __init__(self, http: Http, base: str, owner: str, name: str) -> None:
        self.http = http
        self._base = f"{base.rstrip('/')}/repos/{quote(owner, safe='')}/{quote(name, safe='')}"

    def releases(self, tag: str) -> list[Release]:
        """Return every release and draft of *tag*; drafts only show to those who may write.

        A draft has no address of its own under its tag, so that all are listed.
        """
        found: dict[int, Release] = {}
        for page in range(1, _MAX_PAGES + 1):
            listed = self._get(f"/releases?{urlencode({'page': page, 'limit': _PAGE})}", list[Release])
            if not listed:
                return [release for release in found.values() if release.tag_name == tag]
            found |= {release.id: release for release in listed}
        raise BackendError(f"lists more than {_MAX_PAGES} pages of releases", place=bare(self._base))

    def make_release(self, options: dict[str, Any]) -> Release | None:
        """Make a release; None when the server has one of that tag already (409). Looks again after a lost answer."""
        body = msgspec.json.encode(options)
        expected = (HTTPStatus.CREATED, HTTPStatus.CONFLICT)

        def make() -> Release | None:
            try:
                answer = self.http.once("POST", self._base + "/releases", body, expected=expected)
            except TemporaryError:
                if self.releases(options["tag_name"]):
                    return None
                raise
            return self._decode(answer.body, Release) if answer.status == HTTPStatus.CREATED else None

        return self.http.trying(make)

    def edit_release(self, release: int, changes: dict[str, Any]) -> Release:
        """Change a release."""
        return self._patch(f"/releases/{release}", changes, Release, HTTPStatus.OK)

    def assets(self, release: int) -> list[Attachment]:
        """Return the assets of a release, oldest first."""
        return sorted(self._get(f"/releases/{release}/assets", list[Attachment]), key=lambda asset: asset.id)

    def send_asset(self, release: int, form: Form) -> Attachment:
        """Add an asset, once. Raises `TemporaryError`, after which it may be there, in whole or in part, or not."""
        url = f"{self._base}/releases/{release}/assets?{urlencode({'name': form.name})}"
        answer = self.http.send(url, form, expected=(HTTPStatus.CREATED,))
        return self._decode(answer.body, Attachment)

    def rename_asset(self, release: int, asset: int, name: str) -> Attachment:
        """Give an asset another name."""
        return self._patch(f"/releases/{release}/assets/{asset}", {"name": name}, Attachment, HTTPStatus.CREATED)

    def delete_asset(self, release: int, asset: int) -> None:
        """Delete an asset; one that is gone already is deleted."""
        self.http.call(
            "DELETE",
            f"{self._base}/releases/{release}/assets/{asset}",
            expected=(HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND),
        )

    def commits_of(self, tag: str) -> tuple[str, ...]:
        """Return what the tag *tag* names, its own object (if it has one) before its commit; nothing without a tag."""
        answer = self.http.call(
            "GET", f"{self._base}/tags/{quote(tag, safe='')}", expected=(HTTPStatus.OK, HTTPStatus.NOT_FOUND)
        )
        if answer.status == HTTPStatus.NOT_FOUND:
            return ()
        found = self._decode(answer.body, _Tag)
        return (found.id, found.commit.sha)

    def _get(self, path: str, kind: type[_T]) -> _T:
        return self._decode(self.http.call("GET", self._base + path, expected=(HTTPStatus.OK,)).body, kind)

    def _patch(self, path: str, changes: dict[str, Any], kind: type[_T], expected: int) -> _T:
        body = msgspec.json.encode(changes)
        return self._decode(self.http.call("PATCH", self._base + path, body, expected=(expected,)).body, kind)

    def _decode(self, body: bytes, kind: type[_T]) -> _T:
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BackendError(
                f"does not answer as Forgejo's API v1 does: {error}",
                place=bare(self._base),
                hint="check --server: it is the address of a Forgejo, without a path to a repository",
            ) from error
