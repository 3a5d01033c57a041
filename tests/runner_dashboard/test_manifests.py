"""Path by path: manifests are taken by their hash, and the letters of reports are read with them."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from datetime import UTC, datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from ec_closure.report import pack_verdicts
from ec_release.backend.directory import DirectoryBackend
from ec_release.publishing import plan
from ec_release.publishing.publish import publish
from ec_release.trust.initialise import initialise
from ec_release.trust.keys import load_ring
from ec_release.trust.roles import Periods
from ec_release.trust.update import Signing
from runner_dashboard import config
from runner_dashboard.config import ReleasesTable
from runner_dashboard.demo.machine import Machine, Release, store_path
from runner_dashboard.errors import ConfigError
from runner_dashboard.fleet.fetching import Fetching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ec_closure.report import PathVerdict, Report

RELEASE = Release(1, size=30)
NOW = 1_790_000_000


def upload(dashboard: Any, data: bytes = RELEASE.manifest, media_type: str = "application/zstd") -> Any:
    """Upload a manifest, as the administrator."""
    return dashboard.ask("POST", "/api/v1/manifests", data, token=dashboard.admin, headers={"Content-Type": media_type})


def saying(machine: Machine, dashboard: Any, **odd: PathVerdict) -> Report:
    """Return a report in which the paths whose names begin so have these verdicts, and all others are rebuilt."""
    words: list[PathVerdict] = [
        next((word for name, word in odd.items() if path[44:].startswith(f"{name}-")), "rebuilt")
        for path in RELEASE.paths
    ]
    return replace(machine.passed(dashboard.clock.now), verdicts=pack_verdicts(words), counts=dict(Counter(words)))


def node(dashboard: Any, name: str, **odd: PathVerdict) -> str:
    """Let a machine report, and return its newest report's digest."""
    machine = Machine(name, RELEASE)
    dashboard.enrol(machine)
    assert dashboard.send(machine.sign(saying(machine, dashboard, **odd))).status == 201
    (found,) = (one["id"] for one in dashboard.get("/api/v1/nodes").json["nodes"] if one["name"] == name)
    return str(dashboard.get(f"/api/v1/nodes/{found}/reports").json["reports"][0]["digest"])


def test_a_manifest_is_taken_once(dashboard: Any) -> None:
    """By the hash of its bytes, which is how reports name it; again, nothing changes."""
    first = upload(dashboard)
    again = upload(dashboard)

    assert (first.status, again.status) == (201, 201)
    assert first.json == again.json
    assert first.json["digest"] == hashlib.sha256(RELEASE.manifest).hexdigest()
    assert dashboard.count("manifests") == 1
    assert dashboard.count("audit", "action = 'manifest.keep'") == 1


@pytest.mark.parametrize(
    ("data", "media_type", "status"),
    [
        (b"nonsense", "application/zstd", 400),
        (RELEASE.manifest[:-7], "application/zstd", 400),
        (RELEASE.manifest, "application/json", 415),
        (b"\0" * ((16 << 20) + 1), "application/zstd", 413),
    ],
)
def test_what_is_no_manifest_is_refused(dashboard: Any, data: bytes, media_type: str, status: int) -> None:
    """Before anything is kept."""
    assert upload(dashboard, data, media_type).status == status
    assert dashboard.count("manifests") == 0


def test_each_path_of_a_report_is_shown_the_gravest_first(dashboard: Any, browser: Any) -> None:
    """With its verdict, how CI came by it, and what it must hash to."""
    upload(dashboard)
    digest = node(dashboard, "one", ffmpeg="corrupt", openssl="unreproducible")
    page = dashboard.get(f"/api/v1/reports/{digest}/paths?limit=10").json
    lines = page["lines"]

    assert (page["total"], page["next"], len(lines)) == (30, 10, 10)
    assert [(one["path"][44:], one["verdict"]) for one in lines[:2]] == [
        ("ffmpeg-1", "corrupt"), ("openssl-1", "unreproducible"),
    ]  # fmt: skip
    assert page["counts"] == {"rebuilt": 28, "corrupt": 1, "unreproducible": 1}
    rest = dashboard.get(f"/api/v1/reports/{digest}/paths?after=10&limit=500").json
    assert len({one["path"] for one in lines + rest["lines"]}) == 30
    (found,) = (one["id"] for one in dashboard.get("/api/v1/nodes").json["nodes"])
    assert "Path by path" in browser.get(f"/nodes/{found}").text
    text = browser.get(f"/nodes/{found}/paths?verdict=corrupt").text
    assert "ffmpeg-1" in text
    assert "openssl-1" not in text


def test_paths_are_searched(dashboard: Any) -> None:
    """By a part of the store path, and by verdict."""
    upload(dashboard)
    digest = node(dashboard, "one", ffmpeg="corrupt")

    def names(query: str) -> list[str]:
        return [one["path"][44:] for one in dashboard.get(f"/api/v1/reports/{digest}/paths?{query}").json["lines"]]

    assert names("q=ffmpeg") == ["ffmpeg-1"]
    assert names("verdict=corrupt") == ["ffmpeg-1"]
    assert names("verdict=missing") == []
    assert dashboard.get(f"/api/v1/reports/{digest}/paths?verdict=nonsense").status == 400


def test_without_the_manifest_nothing_is_guessed(dashboard: Any, browser: Any) -> None:
    """The page says what is missing."""
    digest = node(dashboard, "one")
    (found,) = (one["id"] for one in dashboard.get("/api/v1/nodes").json["nodes"])

    assert dashboard.get(f"/api/v1/reports/{digest}/paths").status == 404
    assert "needs the manifest" in browser.get(f"/nodes/{found}").text
    assert browser.get(f"/nodes/{found}/paths").status == 404
    assert dashboard.get("/api/v1/reports/0/paths").status == 404


def test_a_list_that_does_not_fit_says_nothing(dashboard: Any) -> None:
    """A node may sign what it likes: letters for another number of paths are no verdicts."""
    upload(dashboard)
    machine = Machine("one", RELEASE)
    dashboard.enrol(machine)
    report = replace(
        machine.passed(dashboard.clock.now), verdicts=pack_verdicts(["rebuilt"] * 5), counts={"rebuilt": 5}
    )
    dashboard.send(machine.sign(report))
    (found,) = (one["id"] for one in dashboard.get("/api/v1/nodes").json["nodes"])
    digest = dashboard.get(f"/api/v1/nodes/{found}/reports").json["reports"][0]["digest"]

    assert dashboard.get(f"/api/v1/reports/{digest}/paths").json["counts"] == {"unchecked": 30}


def test_a_release_is_told_over_the_fleet(dashboard: Any, browser: Any) -> None:
    """What is not reproducible by itself, what differs by an input, what is broken, what nobody rebuilt."""
    kept = upload(dashboard).json["digest"]
    node(dashboard, "one", openssl="unreproducible", nix="inherited", kernel="matches")
    node(dashboard, "two", openssl="unreproducible", nix="inherited", kernel="matches")
    node(dashboard, "three", openssl="inherited", ffmpeg="corrupt", kernel="matches")
    found = dashboard.get(f"/api/v1/releases/{kept}").json

    def told(part: str) -> list[tuple[str, dict[str, int]]]:
        return [(one["path"][44:], one["verdicts"]) for one in found[part]]

    assert (found["nodes"], found["left_out"], found["never"]) == (3, 0, 1)
    assert told("causes") == [("openssl-1", {"unreproducible": 2, "inherited": 1})]
    assert told("inherited") == [("nix-1", {"inherited": 2, "rebuilt": 1})]
    assert told("broken") == [("ffmpeg-1", {"corrupt": 1, "rebuilt": 2})]
    text = browser.get(f"/releases/{kept}").text
    assert "openssl-1" in text
    assert f"/releases/{kept}" in browser.get("/releases").text
    assert browser.get("/releases/unknown").status == 404


def test_what_too_many_lists_leave_out_is_said(dashboard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not silently counted as well."""
    monkeypatch.setattr("runner_dashboard.fleet.paths._KINDS_OF_NODES", 1)
    kept = upload(dashboard).json["digest"]
    node(dashboard, "one")
    node(dashboard, "two")
    node(dashboard, "three", ffmpeg="corrupt")
    found = dashboard.get(f"/api/v1/releases/{kept}").json

    assert (found["nodes"], found["left_out"], found["broken"]) == (3, 1, [])


@pytest.fixture
def published(tmp_path: Path) -> Iterator[ReleasesTable]:
    """Give a place where the release is published, for real, and what an operator writes of it."""
    backend, keys, time = DirectoryBackend(tmp_path / "site"), tmp_path / "keys", datetime.fromtimestamp(NOW, UTC)
    initialise(backend, keys, root_keys=1, root_threshold=1, time=time, periods=Periods())
    closure = tmp_path / "ec-runner-x86_64.closure.json.zst"
    closure.write_bytes(RELEASE.manifest)
    signing = Signing(load_ring([keys]), time, Periods())
    publish(backend, plan.make(RELEASE.tag, 1, [], [closure]), signing, (keys / "root.json").read_bytes())

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "site"))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    base = f"http://127.0.0.1:{server.server_port}/download/"
    yield ReleasesTable(metadata_url=f"{base}trust/", target_url=base, root_file=str(keys / "root.json"))
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_a_report_names_is_fetched_and_verified(serve: Any, published: ReleasesTable) -> None:
    """From where releases are published, by the pinned root; what no report names is not fetched."""
    with serve(releases=published) as dashboard:
        fetching = Fetching(dashboard.services)
        fetching.step()
        assert dashboard.count("manifests") == 0
        digest = node(dashboard, "one")
        fetching.step()
        assert dashboard.get(f"/api/v1/reports/{digest}/paths").status == 200
        assert dashboard.count("manifests", "added_by = 'release server'") == 1


def test_what_is_changed_on_the_way_is_not_kept(serve: Any, published: ReleasesTable, tmp_path: Path) -> None:
    """And the server is left alone for ten minutes."""
    file = tmp_path / "site" / "download" / RELEASE.tag / "ec-runner-x86_64.closure.json.zst"
    whole = file.read_bytes()
    file.write_bytes(Release(1, size=29).manifest)
    with serve(releases=published) as dashboard:
        fetching = Fetching(dashboard.services)
        node(dashboard, "one")
        fetching.step()
        file.write_bytes(whole)
        fetching.step()
        assert dashboard.count("manifests") == 0
        assert dashboard.services.counters.snapshot("manifest_fetches") == {(("outcome", "failed"),): 1.0}
        dashboard.clock.now += 600
        fetching.step()
        assert dashboard.count("manifests") == 1


def test_half_a_configuration_is_refused() -> None:
    """An address without a root would be believed."""
    with pytest.raises(ConfigError, match="root_file"):
        config.decode(b'[releases]\nmetadata_url = "https://git.example.org/releases/download/trust/"')


def test_the_demonstration_has_manifests() -> None:
    """They decode, and reports name them."""
    release = Release(4, size=60)

    assert release.reference.digest == hashlib.sha256(release.manifest).hexdigest()
    assert release.toplevel == store_path("system-4", "boot-v4")
    assert json.dumps(release.paths) == json.dumps(sorted(release.paths))
