"""What another process fetched: it may be kept back, and neither forged nor rolled back."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from ec_closure import canonical
from ec_closure.errors import EcError
from ec_fetch.errors import (
    ExpiredMetadataError,
    MetadataError,
    MirrorError,
    NoMetadataError,
    OfflineError,
    RolledBackError,
    StaleMirrorError,
)
from ec_fetch.mirror import Mirror
from ec_fetch.state import LastVerified

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUNNER = "/nix/store/" + "0" * 32 + "-runner"


@pytest.fixture
def theirs(world: Any) -> Path:
    """Give the directory of a process that fetched metadata and manifest; then the server is gone."""
    client = world.client("theirs")
    client.refresh()
    client.download(client.find(RUNNER))
    directory: Path = world.path / "theirs"
    return directory


def again(world: Any) -> None:
    """Let the other process fetch once more."""
    client = world.client("theirs")
    client.refresh()
    client.download(client.find(RUNNER))


def bundle(theirs: Path) -> LastVerified:
    """Return the metadata that were left."""
    data = (theirs / "last-verified.json").read_bytes()
    return canonical.decode(data, LastVerified, what="bundle", max_bytes=1 << 30)


def leave(theirs: Path, files: dict[str, bytes], refreshed: int) -> None:
    """Leave *files* in place of what was fetched."""
    (theirs / "last-verified.json").write_bytes(canonical.encode(LastVerified(refreshed=refreshed, files=files)))


def test_what_was_fetched_is_as_good_as_a_server(world: Any, theirs: Path) -> None:
    """The same state, and the same bytes, without anything being asked for."""
    expected = world.client("third").refresh()
    world.tree.rename(world.path / "unplugged")
    client = world.client()

    found = client.adopt(Mirror(theirs))

    assert expected == type(found)(**{**vars(found), "offline": False})
    assert world.manifest("runner", "v1", 1) == client.download(client.find(RUNNER))
    with pytest.raises(OfflineError):
        client.download_to("v1/disk.img", world.path / "disk.img")


def test_what_was_adopted_is_remembered_without_the_mirror(world: Any, theirs: Path) -> None:
    """Metadata and manifests are in this client's own state from then on."""
    client = world.client()
    client.adopt(Mirror(theirs))
    client.download(client.find(RUNNER))
    shutil.rmtree(theirs)
    client = world.client()

    with pytest.raises(NoMetadataError):
        client.adopt(Mirror(theirs))
    client.offline()

    assert world.manifest("runner", "v1", 1) == client.download(client.find(RUNNER))


def test_nothing_is_written_where_somebody_else_writes(world: Any, theirs: Path) -> None:
    """Not even a lock: a name there may be a link to anywhere."""
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in [theirs, *theirs.rglob("*")])

    client = world.client()
    client.adopt(Mirror(theirs))
    client.download(client.find(RUNNER))

    assert before == sorted((str(path), path.lstat().st_mtime_ns) for path in [theirs, *theirs.rglob("*")])


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_metadata_that_were_altered_there_are_refused(world: Any, theirs: Path, stranger: Any, role: str) -> None:
    """Signed anew by a key that nobody knows, and all that refers to it made to agree."""
    world.forge(role, lambda signed: setattr(signed, "version", signed.version + 1), keys=[stranger])
    files = {name: data for name, data in world.keep().items() if name.endswith("root.json")}
    for name in ("timestamp", "snapshot", "targets"):
        files[f"{name}.json"] = world.newest(name).to_bytes()
    leave(theirs, files, 2**40)
    client = world.client()

    with pytest.raises(MetadataError):
        client.adopt(Mirror(theirs))
    with pytest.raises(NoMetadataError):
        client.offline()


@pytest.mark.parametrize("claimed", [0, 1, 10**6])
def test_older_metadata_put_back_show_nothing_less(world: Any, theirs: Path, claimed: int) -> None:
    """What this machine has seen is its own memory; that somebody claims to have fetched them later gives them away."""
    old = bundle(theirs)
    world.later(days=1)
    world.release(2, "runner", "other")
    again(world)
    client = world.client()
    seen = client.adopt(Mirror(theirs))
    leave(theirs, old.files, old.refreshed + claimed)
    client = world.client()

    with pytest.raises(RolledBackError if claimed > 86400 else StaleMirrorError):
        client.adopt(Mirror(theirs))

    assert seen == client.offline()
    assert 2 == client.offline().latest_version


def test_who_was_online_since_is_not_rolled_back(world: Any, theirs: Path) -> None:
    """An operator's run with the network must not make an alarm of the next one without; manifests still serve."""
    world.later(days=1)
    world.release(2, "other")
    client = world.client()
    client.refresh()
    client = world.client()

    with pytest.raises(StaleMirrorError):
        client.adopt(Mirror(theirs))

    assert 2 == client.offline().latest_version
    assert world.manifest("runner", "v1", 1) == client.download(client.find(RUNNER))


def test_expired_metadata_are_refused_as_from_a_server(world: Any, theirs: Path) -> None:
    """Keeping new ones back works for as long as the old ones are valid."""
    world.later(days=8)

    with pytest.raises(ExpiredMetadataError):
        world.client().adopt(Mirror(theirs))


def test_nobody_makes_metadata_younger(world: Any, theirs: Path) -> None:
    """Their age counts from when they were signed, or first seen here: not from what the other process claims."""
    client = world.client()
    first = client.adopt(Mirror(theirs)).refreshed
    leave(theirs, bundle(theirs).files, bundle(theirs).refreshed + 3 * 86400)
    world.later(days=3)

    assert first == world.client().adopt(Mirror(theirs)).refreshed


@pytest.mark.parametrize("lacking", ["timestamp.json", "snapshot.json", "targets.json"])
def test_metadata_that_are_not_whole_are_told_as_that(world: Any, theirs: Path, lacking: str) -> None:
    """No server is blamed."""
    found = bundle(theirs)
    leave(theirs, {name: data for name, data in found.files.items() if name != lacking}, found.refreshed)

    with pytest.raises(MirrorError, match="not whole"):
        world.client().adopt(Mirror(theirs))


@pytest.mark.parametrize("content", [b"", b"null", b"[" * 100_000, b'{"files":{},"refreshed":0}', b"\xff" * 100])
def test_a_bundle_that_is_none_is_refused(world: Any, theirs: Path, content: bytes) -> None:
    """Whatever lies there."""
    (theirs / "last-verified.json").write_bytes(content)

    with pytest.raises(EcError):
        world.client().adopt(Mirror(theirs))


def _swapped(kept: Path) -> None:
    kept.write_bytes(kept.read_bytes()[::-1])


def _longer(kept: Path) -> None:
    kept.write_bytes(kept.read_bytes() + b"x")


def _endless(kept: Path) -> None:
    with kept.open("r+b") as file:
        file.truncate(1 << 40)


def _link(kept: Path) -> None:
    kept.rename(kept.parent.parent / "aside")
    kept.symlink_to(kept.parent.parent / "aside")


def _pipe(kept: Path) -> None:
    kept.unlink()
    os.mkfifo(kept)


@pytest.mark.parametrize("plant", [_swapped, _longer, _endless, _link, _pipe])
def test_a_manifest_that_was_swapped_there_is_refused(world: Any, theirs: Path, plant: Callable[[Path], None]) -> None:
    """At once, also where it is a pipe; and nothing of it is kept."""
    (kept,) = (theirs / "targets").iterdir()
    plant(kept)
    client = world.client()
    client.adopt(Mirror(theirs))

    with pytest.raises(MirrorError):
        client.download(client.find(RUNNER))

    assert [] == list((world.path / "state" / "targets").iterdir())


def test_a_manifest_that_was_taken_away_is_missing(world: Any, theirs: Path) -> None:
    """Withheld, as a server could."""
    shutil.rmtree(theirs / "targets")
    client = world.client()
    client.adopt(Mirror(theirs))

    with pytest.raises(OfflineError):
        client.download(client.find(RUNNER))


def test_as_many_targets_are_kept_as_were_asked_for(world: Any) -> None:
    """More generations than the usual number must all find their manifest without network."""
    world.release(2, *(f"system-{number}" for number in range(20)))
    for kept, found in ((16, 16), (20, 20)):
        client = world.client("theirs", kept_targets=kept)
        client.refresh()
        for closure in client.closures():
            client.download(closure)
        assert found == len(list((world.path / "theirs" / "targets").iterdir()))
