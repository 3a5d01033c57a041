"""The directory that looks like a release server."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ec_closure.errors import TransportError
from ec_release.backend.directory import DirectoryBackend
from ec_release.errors import BackendError, ConflictError


@pytest.fixture
def backend(tmp_path: Path) -> DirectoryBackend:
    """Give an empty place, made ready."""
    made = DirectoryBackend(tmp_path)
    with made.locked():
        return made


def test_a_draft_is_not_visible(backend: DirectoryBackend) -> None:
    """Until it is published, and then all at once."""
    backend.draft("v1")
    backend.upload("v1", "a", 6, lambda: iter([b"one", b"two"]))
    assert backend.published("v1") is None
    assert not (backend.download / "v1").exists()
    backend.publish("v1")
    assert backend.published("v1") == frozenset({"a"})
    assert b"".join(backend.read("v1", "a")) == b"onetwo"


def test_numbered_metadata_are_never_changed(backend: DirectoryBackend) -> None:
    """The same bytes again are fine, others are a conflict."""
    backend.add_metadata("1.targets.json", b"one")
    backend.add_metadata("1.targets.json", b"one")
    with pytest.raises(ConflictError, match=r"1\.targets\.json"):
        backend.add_metadata("1.targets.json", b"two")
    assert backend.read_metadata("1.targets.json") == b"one"


def test_the_timestamp_alone_is_replaced(backend: DirectoryBackend) -> None:
    """A reader who has the old file open keeps it whole."""
    backend.replace_timestamp(b"old")
    with (backend.trust / "timestamp.json").open("rb") as reader:
        backend.replace_timestamp(b"new!")
        assert reader.read() == b"old"
    assert backend.read_metadata("timestamp.json") == b"new!"


def test_a_published_release_is_not_published_over(backend: DirectoryBackend) -> None:
    """A second draft of a published tag cannot take its place."""
    for content in (b"one", b"two"):
        backend.draft("v1")
        backend.upload("v1", "a", 3, lambda content=content: iter([content]))
        if content == b"one":
            backend.publish("v1")
    with pytest.raises(BackendError):
        backend.publish("v1")
    assert (backend.download / "v1/a").read_bytes() == b"one"


def test_what_is_served_may_be_read_by_a_web_server(backend: DirectoryBackend) -> None:
    """Whatever the umask of the publisher."""
    before = os.umask(0o077)
    try:
        backend = DirectoryBackend(backend.root / "below")
        with backend.locked():
            pass
        backend.draft("v1")
        backend.upload("v1", "a", 1, lambda: iter([b"x"]))
        backend.publish("v1")
        backend.replace_timestamp(b"{}")
    finally:
        os.umask(before)
    names = ["download", "download/trust", "download/trust/timestamp.json", "download/v1", "download/v1/a"]
    modes = [stat.S_IMODE((backend.root / name).stat().st_mode) for name in names]
    assert modes == [0o755, 0o755, 0o644, 0o755, 0o644]


def test_what_an_interrupted_publisher_left_is_swept_away(backend: DirectoryBackend, tmp_path: Path) -> None:
    """Half files do not pile up."""
    (tmp_path / ".aside/half").write_bytes(b"x")
    with backend.locked():
        assert list((tmp_path / ".aside").iterdir()) == []


def test_bytes_reach_the_disk_before_their_name(backend: DirectoryBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut a name never leads to an empty file."""
    events: list[str] = []
    rename = Path.replace

    def replace(source: Path, target: Path) -> Path:
        events.append("rename")
        return rename(source, target)

    monkeypatch.setattr("os.fsync", lambda _: events.append("flush"))
    monkeypatch.setattr(Path, "replace", replace)
    backend.replace_timestamp(b"{}")
    assert events == ["flush", "rename", "flush"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file in the way of the directory is said with its path."""
    (tmp_path / "download").write_text("in the way")
    with pytest.raises(BackendError, match="download") as caught, DirectoryBackend(tmp_path).locked():
        pass
    assert isinstance(caught.value, TransportError)


def test_metadata_of_absurd_size_are_not_read(backend: DirectoryBackend) -> None:
    """Whoever put it there does not get it into memory."""
    with (backend.trust / "9.targets.json").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(BackendError, match="larger"):
        backend.read_metadata("9.targets.json")


def test_an_interrupted_upload_leaves_no_asset(backend: DirectoryBackend) -> None:
    """Half an asset never has its name."""

    def chunks() -> Any:
        yield b"half"
        raise BackendError("the source failed")

    backend.draft("v1")
    with pytest.raises(BackendError, match="source"):
        backend.upload("v1", "a", 8, chunks)
    assert backend.draft("v1") == frozenset()
