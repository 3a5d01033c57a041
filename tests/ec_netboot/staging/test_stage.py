"""Staging from a real repository: what is verified is served, and nothing else ever is."""

from __future__ import annotations

import fcntl
import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from ec_closure import manifest
from ec_closure.errors import EcError
from ec_fetch.errors import (
    DamagedStateError,
    ExpiredMetadataError,
    FetchError,
    RolledBackError,
    TargetMismatchError,
    UnsignedMetadataError,
)
from ec_netboot.errors import ArchiveError, ConfigError, ImageError, NotStagedError, RollbackError, StateError
from ec_netboot.staging.receive import Tarball
from ec_netboot.staging.rollback import rollback

if TYPE_CHECKING:
    from pathlib import Path


def published(world: Any, name: str) -> Path:
    """Return the published file whose name ends so."""
    (found,) = (world.tree / "download").rglob(f"*{name}")
    return found  # type: ignore[no-any-return]


def test_the_newest_release_is_staged(world: Any, make_image: Any) -> None:
    """Its files are those that were published, and its description says what vouched for them."""
    world.publish(make_image(1))
    world.publish(make_image(2))

    (outcome,) = world.stage()

    release = world.state.served("x86_64")
    assert (outcome.action, outcome.release.version) == ("staged", 2)
    assert (release.source, release.tag, release.version) == ("signed", "boot-v2", 2)
    assert release.manifest == "boot-v2/ec-runner-x86_64-netboot.closure.json.zst"
    assert release.arguments == f"init={release.toplevel}/init loglevel=4 lsm=landlock,yama,bpf"
    assert world.served() == 2
    assert list(world.state.incoming.iterdir()) == []


def test_staging_again_changes_nothing(world: Any, make_image: Any) -> None:
    """A timer may run as often as it likes."""
    world.publish(make_image(1))
    world.stage()
    before = world.state.current_number("x86_64")

    (outcome,) = world.stage()

    assert (outcome.action, world.state.current_number("x86_64")) == ("unchanged", before)


def test_the_release_before_is_kept_and_comes_back(world: Any, make_image: Any) -> None:
    """And a timer does not undo that, until there is something newer."""
    for version in (1, 2):
        world.publish(make_image(version))
        world.stage()

    assert rollback(world.state, "x86_64", made=0).version == 1
    assert world.served() == 1
    assert world.stage()[0].action == "held"
    assert world.served() == 1
    world.publish(make_image(3))
    world.stage()
    assert world.served() == 3


def test_newest_overrules_an_earlier_choice(world: Any, make_image: Any) -> None:
    """Somebody who rolled back can go forward to the same release again."""
    for version in (1, 2):
        world.publish(make_image(version))
        world.stage()
    rollback(world.state, "x86_64", made=0)

    world.stage(newest=True)

    assert world.served() == 2
    assert world.state.current("x86_64").held == 0


def test_a_rollback_is_not_undone_by_a_configured_tag(world: Any, make_image: Any) -> None:
    """The timer would take the pinned release again within the hour."""
    for version in (1, 2):
        world.publish(make_image(version))
        world.stage()
    config = world.config('[release]\ntag = "boot-v2"\n')
    rollback(world.state, "x86_64", made=0)

    assert world.stage(config)[0].action == "held"
    assert world.served() == 1


def test_there_is_nothing_before_the_first(world: Any, make_image: Any) -> None:
    """A rollback without a previous release says so."""
    world.publish(make_image(1))
    world.stage()

    with pytest.raises(NotStagedError, match="no previous release"):
        rollback(world.state, "x86_64", made=0)


def test_a_withdrawn_release_does_not_come_back(world: Any, make_image: Any) -> None:
    """By rollback, by its name, or as the newest."""
    for version in (1, 2):
        world.publish(make_image(version))
        world.stage()
    world.withdraw(1)
    world.stage()

    with pytest.raises(RollbackError, match="was withdrawn"):
        rollback(world.state, "x86_64", made=0)
    with pytest.raises(RollbackError, match="was withdrawn"):
        world.stage(tag="boot-v1")
    assert world.served() == 2


def test_withdrawing_what_is_served_brings_the_one_before(world: Any, make_image: Any) -> None:
    """Signed metadata say that it must not be served."""
    for version in (1, 2):
        world.publish(make_image(version))
        world.stage()
    world.withdraw(2)

    world.stage()

    assert world.served() == 1


def test_what_may_not_be_served_is_known_although_nothing_replaces_it(world: Any, make_image: Any) -> None:
    """Also when staging ends with an error."""
    world.publish(make_image(1))
    world.stage()
    world.withdraw(1)

    with pytest.raises(EcError):
        world.stage()

    assert world.state.standing().excludes(1) == "was withdrawn"


def test_a_pinned_tag_may_be_older(world: Any, make_image: Any) -> None:
    """The operator asked for it by name."""
    for version in (1, 2):
        world.publish(make_image(version))
    world.stage()

    world.stage(tag="boot-v1")

    assert world.served() == 1
    assert world.stage()[0].action == "held"


def test_below_the_lowest_acceptable_nothing_is_staged(world: Any, make_image: Any) -> None:
    """Metadata bind the operator, too."""
    for version in (1, 2):
        world.publish(make_image(version))
    world.set_min_version(2)

    with pytest.raises(RollbackError, match="older than 2"):
        world.stage(tag="boot-v1")


@pytest.mark.parametrize("change", ["byte", "cut", "longer", "gone", "other"])
def test_a_replaced_archive_is_never_served(world: Any, make_image: Any, change: str) -> None:
    """Assets of a release server can be changed by whoever holds it: that is noticed, and the old one stays."""
    world.publish(make_image(1))
    world.stage()
    world.publish(make_image(2))
    file = published(world, "boot-v2-0123abc.tar.zst")
    data = file.read_bytes()
    file.unlink()
    if change != "gone":
        file.write_bytes(
            {
                "byte": data[:-1] + bytes([data[-1] ^ 1]),
                "cut": data[:-9],
                "longer": data + b"x",
                "other": make_image(1).archive(),
            }[change]
        )

    with pytest.raises((TargetMismatchError, FetchError)):
        world.stage()

    assert world.served() == 1
    assert [path.name for path in world.state.releases.iterdir()] == [world.state.current("x86_64").release]


def test_unsigned_metadata_stage_nothing(world: Any, make_image: Any, make_world: Any) -> None:
    """Another key's repository, at the same address."""
    world.publish(make_image(1))
    world.stage()
    other = make_world(world.path / "other")
    other.path.mkdir()
    other.initialise()
    other.publish(make_image(9))
    config = other.config()
    mixed = world.config()
    trust = type(mixed.trust)(
        root=str(world.keys / "root.json"),
        metadata_base=config.trust.metadata_base,
        target_base=config.trust.target_base,
    )

    with pytest.raises((UnsignedMetadataError, RolledBackError, DamagedStateError)):
        world.stage(type(mixed)(state_dir=mixed.state_dir, trust=trust))

    assert world.served() == 1


def test_expired_metadata_stage_nothing(world: Any, make_image: Any) -> None:
    """A server that shows an old state for ever."""
    world.publish(make_image(1))
    world.stage()
    world.later(days=30)

    with pytest.raises(ExpiredMetadataError):
        world.stage()

    assert world.served() == 1


def test_a_signed_archive_of_another_system_is_refused(world: Any, make_image: Any) -> None:
    """Kernel, initrd and script are held against the manifest of the same release."""
    image, other = make_image(1), make_image(2)
    wrong = {
        "its kernel": {"kernel": b"another kernel"},
        "its initrd": {"initrd": b"another stage 1" * 50},
        "boots": {"netboot.ipxe": other.files["netboot.ipxe"]},
    }
    for number, (said, files) in enumerate(wrong.items(), 1):
        changed = make_image(number, files=make_image(number).files | files)
        tag = f"boot-v{number}"
        described = {"ec-runner-x86_64-netboot": world.manifest(make_image(number), tag)}
        if said == "boots":
            files["netboot.ipxe"] = image.files["netboot.ipxe"]
            changed = make_image(number, files=make_image(number).files | files)
        world.publish(changed, manifests=described)
        with pytest.raises(ImageError, match=said):
            world.stage()
    assert world.served() is None


def test_an_artifact_of_the_manifest_is_that_very_file(world: Any, make_image: Any) -> None:
    """A manifest that names another archive of this name does not belong to it."""
    image = make_image(1)
    name = "ec-runner-x86_64-netboot-boot-v1-0123abc.tar.zst"
    data = image.archive()
    said = manifest.Artifact(name=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    world.publish(image, manifests={"ec-runner-x86_64-netboot": world.manifest(image, "boot-v1", artifacts=(said,))})

    world.stage()

    assert world.served() == 1


def test_a_release_whose_manifest_is_of_another_system_is_staged(world: Any, make_image: Any) -> None:
    """What nobody described cannot be compared; status says so."""
    image = make_image(1)
    described = world.manifest(image, "boot-v1")
    changed = manifest.decode(described)
    system = type(changed.system)(
        name="ec-runner-x86_64",
        attr="a",
        platform="x86_64-linux",
        drv_path=changed.system.drv_path,
        out_path=changed.system.out_path,
    )
    world.publish(image, manifests={"ec-runner-x86_64": world.manifest(image, "boot-v1", system=system)})

    world.stage()

    assert world.state.served("x86_64").manifest is None


def test_two_platforms_are_served_apart(world: Any, make_image: Any) -> None:
    """Each has its own current release; one that cannot be staged does not hold the other back."""
    world.publish(make_image(1), make_image(1, "aarch64"))
    config = world.config(platforms='["x86_64", "aarch64"]')
    world.stage(config)
    assert (world.served("x86_64"), world.served("aarch64")) == (1, 1)
    world.publish(make_image(2), make_image(2, "aarch64"))
    published(world, "aarch64-netboot-boot-v2-0123abc.tar.zst").write_bytes(b"changed")

    with pytest.raises(TargetMismatchError):
        world.stage(config)

    assert (world.served("x86_64"), world.served("aarch64")) == (2, 1)


def test_a_local_archive_needs_its_digest(world: Any, make_image: Any, tmp_path: Path) -> None:
    """It is served as what it is: not signed."""
    file = tmp_path / "mine.tar.zst"
    file.write_bytes(make_image(7).archive())
    digest = hashlib.sha256(file.read_bytes()).hexdigest()

    with pytest.raises(ImageError, match=digest):
        world.stage(tarball=Tarball(file, "f" * 64))
    assert world.served() is None
    world.stage(tarball=Tarball(file, digest))

    release = world.state.served("x86_64")
    assert (release.source, release.version, release.archive) == ("unsigned", 0, digest)


def test_a_local_archive_that_is_none_leaves_nothing(world: Any, tmp_path: Path) -> None:
    """The right digest of the wrong bytes."""
    file = tmp_path / "mine.tar.zst"
    file.write_bytes(b"no archive")

    with pytest.raises(ArchiveError):
        world.stage(tarball=Tarball(file, hashlib.sha256(b"no archive").hexdigest()))

    assert list(world.state.releases.iterdir()) == []


def test_a_configured_archive_needs_no_server(world: Any, make_image: Any, tmp_path: Path) -> None:
    """A site without any network stages what it was handed."""
    file = tmp_path / "mine.tar.zst"
    file.write_bytes(make_image(7).archive())
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    config = world.config(f'[release]\ntarball = "{file}"\nsha256 = "{digest}"\n')

    assert world.stage(config)[0].action == "staged"
    assert world.stage(config)[0].action == "unchanged"
    assert world.state.current("x86_64").held == 0


def test_what_was_damaged_on_the_disk_is_staged_anew(world: Any, make_image: Any) -> None:
    """The damaged copy is left alone until another is whole, and then removed."""
    world.publish(make_image(1))
    world.stage()
    first = world.state.current("x86_64").release
    (world.state.releases / first / "kernel").write_bytes(b"damaged")

    world.stage()

    assert world.state.current("x86_64").release == f"{first}.1"
    assert world.served() == 1


def test_an_unreadable_description_does_not_stop_staging(world: Any, make_image: Any) -> None:
    """What is served cannot be read: it is replaced."""
    world.publish(make_image(1))
    world.stage()
    first = world.state.current("x86_64").release
    (world.state.releases / first / "release.json").write_bytes(b"{}")

    world.stage()

    assert world.served() == 1


def test_two_at_once_do_not_meet(world: Any, make_image: Any) -> None:
    """The second says who is at work."""
    world.publish(make_image(1))
    world.stage()
    with (world.state.path / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StateError, match="another change is under way"):
            world.stage()


def test_a_disk_without_room_keeps_the_old_release(
    world: Any, make_image: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is seen before anything is downloaded."""
    world.publish(make_image(1))
    world.stage()
    world.publish(make_image(2))
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 100})())

    with pytest.raises(StateError, match="are free where twice the archive") as caught:
        world.stage()

    assert "still served" in str(caught.value.hint)
    assert world.served() == 1


def test_old_releases_go_and_recent_ones_stay(world: Any, make_image: Any) -> None:
    """As many as netboot.toml says, the served one and the one before among them."""
    for version in range(1, 6):
        world.publish(make_image(version))
        world.stage()

    kept = sorted(world.state.release(path.name).version for path in world.state.releases.iterdir())
    assert kept == [3, 4, 5]
    assert sorted(path.name for path in (world.state.path / "x86_64/generations").iterdir()) == ["3", "4", "5"]


def test_without_a_server_there_is_a_hint(world: Any) -> None:
    """Nothing is configured: the message says what to do."""
    config = world.config()

    with pytest.raises(ConfigError, match="no release server") as caught:
        world.stage(type(config)(state_dir=config.state_dir))

    assert "--tarball" in str(caught.value.hint)


def test_a_server_that_does_not_answer_changes_nothing(world: Any, make_image: Any) -> None:
    """The old release stays, whatever happens to the network."""
    world.publish(make_image(1))
    world.stage()
    (world.tree / "download").rename(world.tree / "elsewhere")

    with pytest.raises(EcError):
        world.stage()

    assert world.served() == 1
