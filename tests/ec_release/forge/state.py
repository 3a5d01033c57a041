"""What a forge keeps: releases, their assets, and tags of one repository; on disk, so that a restart loses nothing."""

from __future__ import annotations

import json
import threading
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAD = "a" * 40


class State:
    """Releases by number, each with its assets. *base* is the repository's address, *now* tells the time."""

    def __init__(self, directory: Path, base: str, now: Callable[[], datetime]) -> None:
        self.directory = directory
        self.files = directory / "attachments"
        self.files.mkdir(parents=True, exist_ok=True)
        self.base = base
        self.lock = threading.RLock()
        self._now = now
        self._kept = directory / "state.json"
        self.next = 1
        self.releases: dict[int, dict[str, Any]] = {}
        self.tags: dict[str, str] = {}
        if self._kept.exists():
            kept = json.loads(self._kept.read_text())
            self.next, self.tags = kept["next"], kept["tags"]
            self.releases = {int(number): release for number, release in kept["releases"].items()}

    def save(self) -> None:
        """Write everything to disk."""
        beside = self._kept.with_suffix(".new")
        beside.write_text(json.dumps({"next": self.next, "tags": self.tags, "releases": self.releases}))
        beside.replace(self._kept)

    def number(self) -> int:
        """Return a number that was never given."""
        self.next += 1
        return self.next - 1

    def moment(self) -> str:
        """Return the time as answers carry it."""
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def of_tag(self, tag: str) -> list[dict[str, Any]]:
        """Return the releases and drafts of *tag*."""
        return [release for release in self.releases.values() if release["tag_name"] == tag]

    def make_release(self, options: dict[str, Any]) -> dict[str, Any]:
        """Make a release, as options say."""
        number = self.number()
        release = {
            "id": number,
            "tag_name": options["tag_name"],
            "target_commitish": options.get("target_commitish") or "main",
            "name": options["name"],
            "body": options.get("body", ""),
            "draft": options.get("draft", False),
            "prerelease": options.get("prerelease", False),
            "created_at": self.moment(),
            "assets": [],
        }
        self.releases[number] = release
        self._tag(release)
        self.save()
        return release

    def edit_release(self, release: dict[str, Any], changes: dict[str, Any]) -> None:
        """Change a release. Publishing makes its tag, as Forgejo does."""
        release.update({name: value for name, value in changes.items() if value not in ("", None)})
        self._tag(release)
        self.save()

    def _tag(self, release: dict[str, Any]) -> None:
        if not release["draft"]:
            target = release["target_commitish"]
            self.tags.setdefault(release["tag_name"], HEAD if target == "main" else target)

    def add_asset(self, release: dict[str, Any], name: str, path: Path, size: int) -> dict[str, Any]:
        """Add the file *path* as an asset; a second one of a name is taken, as Forgejo does."""
        asset = {"id": self.number(), "name": name, "size": size, "uuid": str(uuid.uuid4()), "created": self.moment()}
        path.rename(self.files / str(asset["uuid"]))
        release["assets"].append(asset)
        self.save()
        return asset

    def remove_asset(self, release: dict[str, Any], asset: dict[str, Any]) -> None:
        """Delete an asset."""
        release["assets"].remove(asset)
        (self.files / asset["uuid"]).unlink()
        self.save()

    def asset_json(self, release: dict[str, Any], asset: dict[str, Any]) -> dict[str, Any]:
        """Return an asset as answers carry it."""
        return {
            "id": asset["id"],
            "name": asset["name"],
            "size": asset["size"],
            "download_count": 0,
            "created_at": asset["created"],
            "uuid": asset["uuid"],
            "browser_download_url": "/".join(
                (self.base, "releases/download", quote(release["tag_name"]), quote(asset["name"]))
            ),
            "type": asset.get("type", "attachment"),
        }

    def release_json(self, release: dict[str, Any]) -> dict[str, Any]:
        """Return a release as answers carry it."""
        return release | {
            "url": f"{self.base}/releases/{release['id']}",
            "html_url": f"{self.base}/releases/tag/{quote(release['tag_name'])}",
            "hide_archive_links": False,
            "published_at": release["created_at"],
            "assets": [self.asset_json(release, asset) for asset in release["assets"]],
        }

    def tag_json(self, tag: str) -> dict[str, Any]:
        """Return a tag as answers carry it."""
        sha = self.tags[tag]
        return {"name": tag, "message": "", "id": sha, "commit": {"sha": sha, "url": "", "created": self.moment()}}

    def tree(self) -> dict[str, bytes]:
        """Return what strangers can download, by `<tag>/<asset>`."""
        return {
            f"{release['tag_name']}/{asset['name']}": (self.files / asset["uuid"]).read_bytes()
            for release in self.releases.values()
            if not release["draft"]
            for asset in release["assets"]
        }
