"""Releases on a forge: published whole, read by strangers, and changed by nothing afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.ec_release.forge import faults
from tests.ec_release.forge.server import READER, REPOSITORY, TOKEN

from ec_release.errors import AccessError, BackendError, ConflictError
from ec_release.publishing import plan
from ec_release.publishing.publish import publish
from ec_release.trust.refresh import refresh

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_release_is_published_and_read(place: Any) -> None:
    """By a node that knows nothing but addresses; the bytes are those that were published."""
    assert place.publish(1).metadata_published
    reader = place.reader()
    assert reader.refresh().latest_version == 1
    (closure,) = reader.closures()
    assert reader.download(closure) == place.manifest(1)
    assert {name for name in place.files() if not name.startswith("trust/")} == {
        "v1/SHA256SUMS",
        "v1/disk.img",
        "v1/runner.closure.json.zst",
    }


def test_publishing_again_changes_nothing(place: Any) -> None:
    """Neither assets nor metadata, and no request asks for a change other than the lock's."""
    place.publish(1)
    before, asked = place.files(), len(place.forge.seen)
    outcome = place.publish(1)
    assert (outcome.assets_published, outcome.metadata_published) == (False, False)
    assert place.files() == before
    changing = [(method, target) for method, target, _ in place.forge.seen[asked:] if method != "GET"]
    assert [method for method, _ in changing] == ["POST", "DELETE"]
    assert "name=lock." in changing[0][1]


def test_a_tag_keeps_its_bytes(place: Any) -> None:
    """A second release of a tag, with other bytes, is refused, and what is published stays."""
    place.publish(1)
    before = place.files()
    images, closures = place.assets(1)
    images[0].write_bytes(b"other")
    with pytest.raises(ConflictError, match="other assets"):
        publish(place.backend, plan.make("v1", 1, images, closures), place.signing, place.root)
    assert place.files() == before


def test_a_tag_that_was_published_without_us_keeps_its_bytes(place: Any, make_backend: Any) -> None:
    """Somebody published other bytes under the tag before we signed for it: nothing is signed."""
    other = make_backend()
    with other.locked():
        other.draft("v1")
        other.upload("v1", "disk.img", 5, lambda: iter((b"other",)))
        other.publish("v1")
    with pytest.raises(ConflictError, match="v1"):
        place.publish(1)
    assert place.reader().refresh().latest_version == 0


def test_nothing_of_a_draft_is_seen(place: Any, forge: Any) -> None:
    """Not by strangers, nor by those who may only read; and nothing is signed for it."""
    images, closures = place.assets(1)
    made = plan.make("v1", 1, images, closures)
    outcome = publish(place.backend, made, place.signing, place.root, stop_at_draft=True)
    assert (outcome.draft, outcome.assets_published, outcome.metadata_published) == (True, False, False)
    assert not [name for name in place.files() if name.startswith("v1/")]
    assert place.reader().refresh().latest_version == 0
    (release,) = forge.state.of_tag("v1")
    assert release["draft"]

    again = publish(place.backend, made, place.signing, place.root)
    assert (again.draft, again.assets_published, again.metadata_published) == (False, True, True)
    assert len(forge.requests("POST", "name=disk.img")) == 1


def test_a_draft_that_a_person_published_is_signed_for(place: Any, forge: Any) -> None:
    """The same command checks what is public against the files, and signs."""
    images, closures = place.assets(1)
    made = plan.make("v1", 1, images, closures)
    publish(place.backend, made, place.signing, place.root, stop_at_draft=True)
    (release,) = forge.state.of_tag("v1")
    forge.state.edit_release(release, {"draft": False})
    outcome = publish(place.backend, made, place.signing, place.root, stop_at_draft=True)
    assert (outcome.draft, outcome.metadata_published) == (False, True)
    assert place.reader().refresh().latest_version == 1


def test_a_draft_among_many_releases_is_found(place: Any, forge: Any) -> None:
    """Drafts have no address of their own; the list has pages, shorter than was asked for."""
    forge.page_size = 3
    with place.backend.locked():
        place.backend.draft("v1")
        place.backend.upload("v1", "disk.img", 7, lambda: iter((b"image 1",)))
    for number in range(10):
        forge.state.make_release({"tag_name": f"other-{number}", "name": "other"})
    place.publish(1)
    assert len(forge.state.of_tag("v1")) == 1
    assert len(forge.requests("POST", "name=disk.img")) == 1


def test_two_drafts_of_a_tag_are_told_apart_by_people(place: Any, forge: Any) -> None:
    """One may be a person's: neither is deleted, both are named."""
    for _ in range(2):
        forge.state.make_release({"tag_name": "v1", "name": "v1", "draft": True})
    with pytest.raises(BackendError, match=r"2 drafts of this tag: \d+, \d+"):
        place.publish(1)


def test_what_a_crashed_run_left_is_not_sent_twice(place: Any, forge: Any) -> None:
    """What reads back the same stays; what does not is replaced; what does not belong there goes."""
    with place.backend.locked():
        place.backend.draft("v1")
        place.backend.upload("v1", "disk.img", 7, lambda: iter((b"image 1",)))
        place.backend.upload("v1", "runner.closure.json.zst", 4, lambda: iter((b"half",)))
        place.backend.upload("v1", "leftover", 1, lambda: iter((b"x",)))
    place.publish(1)
    assert len(forge.requests("POST", "name=disk.img")) == 1
    assert len(forge.requests("POST", "name=runner")) == 2
    assert place.files()["v1/runner.closure.json.zst"] == place.manifest(1)
    assert "v1/leftover" not in place.files()


def test_two_assets_of_one_name_in_a_draft_are_sent_anew(place: Any, forge: Any) -> None:
    """Which of them is whole does not matter: neither stays."""
    with place.backend.locked():
        place.backend.draft("v1")
        place.backend.upload("v1", "disk.img", 7, lambda: iter((b"image 1",)))
    (release,) = forge.state.of_tag("v1")
    (forge.state.files / "second").write_bytes(b"other")
    forge.state.add_asset(release, "disk.img", forge.state.files / "second", 5)
    place.publish(1)
    assert place.files()["v1/disk.img"] == b"image 1"
    assert [asset["name"] for asset in release["assets"]].count("disk.img") == 1


@pytest.mark.parametrize(("tag", "name"), [("v1", "disk.img"), ("trust", "timestamp.json"), ("trust", "1.root.json")])
def test_two_published_assets_of_one_name_are_an_error(place: Any, forge: Any, tag: str, name: str) -> None:
    """A forge allows them, and readers get either: a person must say which belongs there."""
    place.publish(1)
    (release,) = forge.state.of_tag(tag)
    (forge.state.files / "second").write_bytes(b"other")
    forge.state.add_asset(release, name, forge.state.files / "second", 5)
    with pytest.raises(BackendError, match="2 assets of this name") as caught:
        place.publish(1)
    assert caught.value.place == f"{tag}/{name}"


def test_the_tag_is_made_at_the_commit_of_the_run(place: Any, forge: Any, make_backend: Any) -> None:
    """Where there is no tag yet, publishing makes it; a pre-release is marked."""
    place.backend = make_backend(target="b" * 40, prerelease=True)
    place.publish(1)
    assert forge.state.tags["v1"] == "b" * 40
    assert forge.state.of_tag("v1")[0]["prerelease"]


def test_a_tag_of_another_commit_is_refused(place: Any, forge: Any, make_backend: Any) -> None:
    """A release says what it was made from; nothing is uploaded."""
    forge.state.tags["v1"] = "c" * 40
    place.backend = make_backend(target="b" * 40)
    with pytest.raises(ConflictError, match=r"names commit c{40}, and what is published was made from b{40}"):
        place.publish(1)
    assert forge.state.of_tag("v1") == []
    place.backend = make_backend(target="c" * 40)
    assert place.publish(1).assets_published


def test_a_draft_of_another_commit_is_published_from_this_one(place: Any, forge: Any, make_backend: Any) -> None:
    """An earlier run made the draft, and never got to its tag."""
    place.backend = make_backend(target="b" * 40)
    images, closures = place.assets(1)
    publish(place.backend, plan.make("v1", 1, images, closures), place.signing, place.root, stop_at_draft=True)
    place.backend = make_backend(target="c" * 40)
    place.publish(1)
    assert forge.state.tags["v1"] == "c" * 40


def test_a_server_that_tags_another_commit_is_told(place: Any, forge: Any, make_backend: Any) -> None:
    """Somebody pushes the tag between two requests: nothing is signed."""
    place.backend = make_backend(target="b" * 40)
    forge.plan("PATCH", r"/releases/\d+$", faults.first(lambda: forge.state.tags.update({"v1": "c" * 40})))
    with pytest.raises(ConflictError, match="names commit c"):
        place.publish(1)
    assert place.reader().refresh().latest_version == 0


@pytest.mark.parametrize("base", ["http://localhost", "https://[", "http://x:y/", "file:///etc", ""])
def test_a_server_that_gives_other_addresses_is_told(place: Any, forge: Any, base: str) -> None:
    """The token would not be sent there, and drafts not be found."""
    forge.state.base = base
    with pytest.raises(BackendError, match="gives an address elsewhere") as caught:
        place.publish(1)
    assert "--server" in (caught.value.hint or "")


def test_numbered_metadata_are_added_and_never_deleted(place: Any, forge: Any) -> None:
    """Whoever holds an older root or snapshot finds what it names."""
    place.publish(1)
    place.later(days=8)
    refresh(place.backend, place.signing, place.root)
    assert {f"trust/{number}.snapshot.json" for number in (1, 2, 3)} <= set(place.files())
    removed = forge.requests("DELETE", "/assets/")
    numbered = [asset["id"] for asset in forge.state.of_tag("trust")[0]["assets"] if asset["name"][0].isdigit()]
    assert not [target for target in removed if int(target.rpartition("/")[2]) in numbered]


def test_a_private_repository_is_published_to(place: Any, forge: Any) -> None:
    """Downloads carry the token, on the server's own origin."""
    forge.private = True
    place.publish(1)
    assert all("authorization" in headers for _, _, headers in forge.seen)


@pytest.mark.parametrize(
    ("token", "status", "hint"),
    [(None, 401, "--token-file"), ("wrong-token-0000", 401, "expired"), (READER, 403, "write")],
)
def test_who_may_not_write_is_told_so(place: Any, make_backend: Any, token: str | None, status: int, hint: str) -> None:
    """At the first request that changes something, with what to do; the token itself is not said."""
    place.backend = make_backend(token=token)
    with pytest.raises(AccessError, match=str(status)) as caught:
        place.publish(1)
    assert hint in (caught.value.hint or "")
    assert str(token) not in f"{caught.value} {caught.value.hint}"


def test_a_repository_that_is_not_there_is_told(place: Any, forge: Any, command: Callable[..., Any]) -> None:
    """Not as an empty one that could be initialised."""
    code, _, err = command(
        *("trust", "show", "--root", place.keys / "root.json"), "--server", forge.url, "--repository", "some/other"
    )
    assert code == 3
    assert "404" in err
    assert "--repository" in err


class TestCommandLine:
    """The same by the command line, as CI calls it."""

    @pytest.fixture
    def run(self, forge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Set up the environment of a run."""
        environment = {
            "GITHUB_SERVER_URL": forge.url,
            "GITHUB_API_URL": f"{forge.url}/api/v1",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_SHA": "d" * 40,
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_RUN_ID": "17",
            "GITHUB_JOB": "publish",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    def publishing(self, place: Any, version: int) -> list[Any]:
        """Return the arguments that publish a release."""
        images, closures = place.assets(version)
        signing = ["--keys", place.keys, "--time", place.time.isoformat(), "--json"]
        named = ["--tag", f"v{version}", "--version", version]
        return ["publish", *named, "--assets", *images, "--closure", *closures, *signing]

    @pytest.mark.usefixtures("run")
    def test_everything_comes_from_the_run(self, new_place: Any, forge: Any, command: Any) -> None:
        """Server, repository, token and commit: beginning, publishing, refreshing, withdrawing, looking."""
        signing = ["--keys", new_place.keys, "--time", new_place.time.isoformat()]
        assert command("trust", "init", *signing)[0] == 0
        code, out, err = command(*self.publishing(new_place, 1))
        assert (code, err) == (0, "")
        assert json.loads(out)["assets_published"]
        assert forge.state.tags["v1"] == "d" * 40
        assert command(*self.publishing(new_place, 2))[0] == 0
        assert command("trust", "refresh", "--force", *signing)[0] == 0
        assert command("trust", "withdraw", 1, *signing)[0] == 0
        assert command("trust", "min-version", 2, *signing)[0] == 0
        assert command("trust", "rotate", "timestamp", *signing)[0] == 0
        code, out, _ = command("trust", "show", "--root", new_place.keys / "root.json", "--json")
        assert code == 0
        assert json.loads(out)["standing"] == {"latest": 2, "min_version": 2, "withdrawn": [1]}
        assert new_place.reader().refresh().withdrawn == (1,)

    @pytest.mark.usefixtures("run")
    def test_an_interrupted_timestamp_is_no_obstacle(self, place: Any, forge: Any, command: Any) -> None:
        """Neither for looking nor for publishing, by the command line as a whole."""
        assert command(*self.publishing(place, 1))[0] == 0
        (trust,) = forge.state.of_tag("trust")
        stamp = next(asset for asset in trust["assets"] if asset["name"] == "timestamp.json")
        stamp["name"] = "timestamp.json.next"
        assert command("trust", "show", "--root", place.keys / "root.json")[0] == 0
        assert command(*self.publishing(place, 1))[0] == 0
        assert stamp["name"] == "timestamp.json"

    @pytest.mark.usefixtures("run")
    def test_the_runs_token_stays_with_the_runs_server(self, place: Any, command: Any, forge: Any) -> None:
        """Named by another address, the server of the run is another server."""
        elsewhere = forge.url.replace("127.0.0.1", "localhost")
        asked = len(forge.seen)
        code, _, err = command(*self.publishing(place, 1), "--server", elsewhere)
        assert code == 3
        assert "--token-file" in err
        assert not [headers for _, _, headers in forge.seen[asked:] if "authorization" in headers]

    def test_a_token_comes_from_a_file(self, place: Any, command: Any, forge: Any, tmp_path: Path) -> None:
        """Wherever the server is."""
        (tmp_path / "token").write_text(TOKEN + "\n")
        there = ["--server", forge.url, "--repository", REPOSITORY, "--token-file", tmp_path / "token"]
        assert command(*self.publishing(place, 1), *there)[0] == 0
        code, out, _ = command(*self.publishing(place, 2), *there, "--draft")
        assert code == 0
        assert json.loads(out)["draft"]

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--directory", "x", "--server", "https://forge.invalid"],
            ["--directory", "x", "--repository", "a/b"],
            ["--directory", "x", "--prerelease"],
            ["--server", "https://forge.invalid"],
            ["--repository", "a/b"],
            ["--server", "ftp://forge.invalid", "--repository", "a/b"],
            ["--server", "https://forge.invalid", "--repository", "a"],
            ["--server", "https://forge.invalid", "--repository", "a/b/c"],
            [],
        ],
    )
    def test_a_place_is_named_once_and_whole(
        self, place: Any, command: Any, arguments: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Half a place, or two, are refused before anything is asked."""
        for name in ("GITHUB_SERVER_URL", "FORGEJO_SERVER_URL", "GITHUB_REPOSITORY", "FORGEJO_REPOSITORY"):
            monkeypatch.delenv(name, raising=False)
        code, out, err = command(*self.publishing(place, 1), *arguments)
        assert (code, out) == (2, "")
        assert err.startswith("ec-release: ")
