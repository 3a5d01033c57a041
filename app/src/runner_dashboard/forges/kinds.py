"""Forgejo, GitHub and GitLab. Only GitLab can pause a runner: of the others the page says that they cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from runner_dashboard.forges.client import ForgeClient, pages
from runner_dashboard.forges.runner import Runner, Status
from runner_dashboard.refusals import ConflictError

if TYPE_CHECKING:
    from runner_dashboard.config import ForgeTable

GITHUB: Final = "https://github.com"
_MOST_LABELS: Final = 50


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _labels(value: object) -> list[str]:
    """Return labels, which are words, or objects with a name."""
    listed = value if isinstance(value, list) else []
    words = [one.get("name") if isinstance(one, dict) else one for one in listed]
    return [word for word in words if isinstance(word, str)][:_MOST_LABELS]


def _scope(scope: str) -> str:
    """Return the part of an address for `OWNER` or `OWNER/REPOSITORY`, of Forgejo and GitHub."""
    return f"/repos/{quote(scope)}" if "/" in scope else f"/orgs/{quote(scope)}"


class Forgejo:
    """Runners of an organization or a repository of a Forgejo (API v1; status is offline, idle or active)."""

    name = "forgejo"
    pauses = False
    _STATUS: Final[dict[str, Status]] = {"active": "busy", "idle": "idle", "offline": "offline"}

    def __init__(self, table: ForgeTable, token: str) -> None:
        self._client = ForgeClient(f"{table.url}/api/v1", {"Authorization": f"token {token}"})
        self._path = f"{_scope(table.scope)}/actions/runners"

    def runners(self) -> list[Runner]:
        """Return all runners. Raises `ForgeError`."""
        return [self._runner(row) for row in pages(self._client, self._path, "limit")]

    def _runner(self, row: dict[str, Any]) -> Runner:
        return Runner(
            forge=self.name, id=str(row.get("id")), name=_text(row.get("name")), labels=_labels(row.get("labels")),
            status=self._STATUS.get(_text(row.get("status")), "unknown"), paused=None,
            version=_text(row.get("version")),
        )  # fmt: skip

    def pause(self, runner: str, *, paused: bool) -> None:
        """Say that there is no such thing. Raises `ConflictError`."""
        raise ConflictError("Forgejo cannot pause a runner", hint="stop it where it runs", place=f"{runner} {paused}")


class GitHub:
    """Self-hosted runners of an organization or a repository (REST API; status is online or offline, and busy)."""

    name = "github"
    pauses = False

    def __init__(self, table: ForgeTable, token: str) -> None:
        base = "https://api.github.com" if table.url in ("", GITHUB) else f"{table.url}/api/v3"
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        self._client = ForgeClient(base, headers)
        self._path = f"{_scope(table.scope)}/actions/runners"

    def runners(self) -> list[Runner]:
        """Return all runners. Raises `ForgeError`."""
        return [self._runner(row) for row in pages(self._client, self._path, "per_page")]

    def _runner(self, row: dict[str, Any]) -> Runner:
        known: dict[str, Status] = {"online": "busy" if row.get("busy") is True else "idle", "offline": "offline"}
        return Runner(
            forge=self.name, id=str(row.get("id")), name=_text(row.get("name")), labels=_labels(row.get("labels")),
            status=known.get(_text(row.get("status")), "unknown"), paused=None, version=_text(row.get("version")),
        )  # fmt: skip

    def pause(self, runner: str, *, paused: bool) -> None:
        """Say that there is no such thing. Raises `ConflictError`."""
        raise ConflictError("GitHub cannot pause a runner", hint="stop it where it runs", place=f"{runner} {paused}")


class GitLab:
    """Runners of a group or a project (API v4). The list does not say whether a runner is busy, nor its tags."""

    name = "gitlab"
    pauses = True
    _STATUS: Final[dict[str, Status]] = {"online": "idle", "offline": "offline", "stale": "offline"}

    def __init__(self, table: ForgeTable, token: str) -> None:
        self._client = ForgeClient(f"{table.url}/api/v4", {"PRIVATE-TOKEN": token})
        kind, _, path = table.scope.partition(":")
        # `group:` or `project:` before the path, which is one part of the address.
        self._path = f"/{'projects' if kind == 'project' else 'groups'}/{quote(path or kind, safe='')}/runners"

    def runners(self) -> list[Runner]:
        """Return all runners. Raises `ForgeError`."""
        return [self._runner(row) for row in pages(self._client, self._path, "per_page")]

    def _runner(self, row: dict[str, Any]) -> Runner:
        name = _text(row.get("description")) or _text(row.get("name"))
        return Runner(
            forge=self.name, id=str(row.get("id")), name=name, labels=_labels(row.get("tag_list")),
            status=self._STATUS.get(_text(row.get("status")), "unknown"), paused=row.get("paused") is True, version="",
        )  # fmt: skip

    def pause(self, runner: str, *, paused: bool) -> None:
        """Pause a runner, or let it take jobs again. Raises `ForgeError`."""
        self._client.put(f"/runners/{quote(runner, safe='')}", {"paused": "true" if paused else "false"})
