"""The assets of one release: found by name, of which there may be two here; added, read back, taken away."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from ec_closure.decoding import excerpt
from ec_release.backend.forgejo.download import Download
from ec_release.backend.forgejo.http import TemporaryError
from ec_release.backend.forgejo.upload import Form
from ec_release.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ec_release.backend.forgejo.api import Api, Attachment


class ReleaseAssets:
    """The assets of the release *release* (its number), called *title* in errors. Methods raise `BackendError`."""

    def __init__(self, api: Api, release: int, title: str) -> None:
        self.api = api
        self.release = release
        self.title = title

    def all(self) -> list[Attachment]:
        """Return all assets, oldest first."""
        return self.api.assets(self.release)

    def by_name(self) -> dict[str, Attachment]:
        """Return all assets by name. Two of one name are an error: readers would get either."""
        found = self.all()
        for name, count in Counter(asset.name for asset in found).items():
            if count > 1:
                raise BackendError(
                    f"holds {count} assets of this name",
                    place=f"{self.title}/{name}",
                    hint="readers get either; find out who added one, and delete what does not belong there",
                )
        return {asset.name: asset for asset in found}

    def one(self, name: str) -> Attachment:
        """Return the asset *name*, of which there must be exactly one."""
        found = self.by_name().get(name)
        if found is None:
            raise BackendError("is not there", place=f"{self.title}/{name}")
        return found

    def remove(self, name: str) -> None:
        """Delete every asset of that name."""
        for asset in self.all():
            if asset.name == name:
                self.delete(asset)

    def delete(self, asset: Attachment) -> None:
        """Delete this very asset."""
        self.api.delete_asset(self.release, asset.id)

    def add(self, name: str, length: int, chunks: Callable[[], Iterator[bytes]]) -> Attachment:
        """Upload an asset of a name that is not taken, and return it.

        After each attempt the release is looked at, because an answer may be lost and a proxy may send twice: what
        arrived whole is kept once, what arrived in part is deleted and sent again. Also raises `AssetError` when
        *chunks* does not give *length* bytes.
        """
        before = {asset.id for asset in self.all()}
        form = Form(name, length, chunks)

        def send() -> Attachment:
            kept = length
            try:
                kept = self.api.send_asset(self.release, form).size
            except TemporaryError:
                arrived = self._arrived(name, length, before)
                if arrived is None:
                    raise
                return arrived
            arrived = self._arrived(name, length, before)
            if arrived is None:
                error = BackendError(
                    f"the server kept {kept} bytes of {length}",
                    place=f"{self.title}/{name}",
                    hint="a proxy in between may cut uploads; what was kept is deleted again",
                )
                raise TemporaryError(error)
            return arrived

        return self.api.http.trying(send)

    def _arrived(self, name: str, length: int, before: set[int]) -> Attachment | None:
        """Return the asset that arrived whole, None when there is none; delete what arrived in part, or again."""
        new = [asset for asset in self.all() if asset.name == name and asset.id not in before]
        whole = [asset for asset in new if asset.size == length][:1]
        for asset in new:
            if asset not in whole:
                self.delete(asset)
        return whole[0] if whole else None

    def read(self, asset: Attachment) -> Iterator[bytes]:
        """Read an asset back, past caches that only know its name. Verifies nothing."""
        if asset.type != "attachment":
            raise BackendError(
                "lies elsewhere, on a server of its own",
                place=f"{self.title}/{asset.name}",
                hint="somebody put an external address in the place of the file; delete it",
            )
        if not self.api.http.knows(asset.browser_download_url):
            raise BackendError(
                f"the server gives an address elsewhere: {excerpt(asset.browser_download_url.partition('?')[0])}",
                place=f"{self.title}/{asset.name}",
                hint="give --server as the server calls itself (`ROOT_URL`): the token goes nowhere else",
            )
        # Another number is another file: whatever a cache holds under the old one cannot be mistaken for it.
        address = f"{asset.browser_download_url}?{urlencode({'asset': asset.id})}"
        return iter(Download(self.api.http, address, asset.size))
