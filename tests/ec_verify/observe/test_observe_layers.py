"""What the store directory is made of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ec_closure.nar.hash import hash_path
from ec_verify.location import StoreLocation
from ec_verify.observe.layers import StoreLayers, observe
from ec_verify.observe.mounts import Mount
from ec_verify.scan.path import PathTask

if TYPE_CHECKING:
    from pathlib import Path

STORE = "/nix/store"
X, Y, Z = (f"{STORE}/{letter * 32}-{letter}" for letter in "xyz")
SYSTEM, FSTAB = f"{STORE}/{'s' * 32}-system", f"{STORE}/{'f' * 32}-etc-fstab"
ROOT = Mount("/", "ext4", "/dev/vda", "/", "rw", number=1, parent=0, device="254:0")


def on_store(number: int, parent: int = 1, **changes: str) -> Mount:
    """Return a mount on the store directory."""
    given = {"kind": "ext4", "source": "/dev/vdb", "root": "/", "options": "rw", "device": "254:16"} | changes
    return Mount(point=STORE, number=number, parent=parent, **given)


def seen(*mounts: Mount) -> tuple[int, ...]:
    """Return the numbers of the mounts that are found on the store directory."""
    return tuple(one.number for one in observe(StoreLocation(), list(mounts), None, []).mounts)


def test_store_on_the_root_has_no_mount_of_its_own() -> None:
    """Nor does one on /nix."""
    assert StoreLayers() == observe(StoreLocation(), [ROOT], None, [])
    assert () == seen(ROOT, Mount("/nix", "ext4", "/dev/vdb", "/", "rw", number=2, parent=1, device="254:16"))


@pytest.mark.parametrize(
    ("mounts", "found"),
    [
        # The read-only bind that NixOS makes: of the root, of a file system on /nix, of a subvolume, of a mount on it.
        ((ROOT, on_store(2, device="254:0", root="/nix/store")), ()),
        (
            (
                ROOT,
                Mount("/nix", "btrfs", "/dev/vda", "/@nix", "rw", number=2, parent=1, device="0:30"),
                on_store(3, 2, device="0:30", root="/@nix/store"),
            ),
            (),
        ),
        ((ROOT, on_store(2), on_store(3, 2)), (2,)),
        ((ROOT, on_store(2, kind="overlay", device="0:40"), on_store(3, 2, kind="overlay", device="0:40")), (2,)),
        # And what is none.
        ((ROOT, on_store(2, device="254:0", root="/srv/store")), (2,)),
        ((ROOT, on_store(2, device="254:16", root="/nix/store")), (2,)),
        ((ROOT, on_store(2), on_store(3, 2, device="0:9")), (2, 3)),
        ((ROOT, on_store(2, device="254:0", root="/nix/store"), on_store(3, 2, device="254:0", root="/")), (3,)),
    ],
)
def test_store_bound_over_itself_is_no_mount(mounts: tuple[Mount, ...], found: tuple[int, ...]) -> None:
    """Device and directory are those of what lies below; anything else is listed, lowest first."""
    assert found == seen(*mounts)


def test_without_a_root_among_the_mounts_nothing_is_known() -> None:
    """Which is said."""
    assert observe(StoreLocation(), [], None, []).unknown


@pytest.mark.parametrize("as_link", [True, False])
def test_fstab_of_the_running_system_says_what_belongs_there(tmp_path: Path, as_link: bool) -> None:  # noqa: FBT001 - a table
    """It is a link to a store path of its own, or a file."""
    etc = tmp_path / SYSTEM.lstrip("/") / "etc"
    etc.mkdir(parents=True)
    text = "# none\noverlay /nix/store overlay lowerdir=/nix/.ro-store 0 0\ntmpfs /nix/.rw-store tmpfs mode=0755 0 0\n"
    if as_link:
        (tmp_path / FSTAB.lstrip("/")).write_text(text)
        (etc / "fstab").symlink_to(FSTAB)
    else:
        (etc / "fstab").write_text(text)

    assert "overlay" == observe(StoreLocation(tmp_path), [ROOT], SYSTEM, []).declared


@pytest.mark.parametrize("text", [None, "", "/dev/vda / ext4\n", "/nix/store\n", "\0\xff /nix/stor x"])
def test_fstab_that_says_nothing_declares_nothing(tmp_path: Path, text: str | None) -> None:
    """Also when there is none."""
    etc = tmp_path / SYSTEM.lstrip("/") / "etc"
    etc.mkdir(parents=True)
    if text is not None:
        (etc / "fstab").write_text(text)

    assert observe(StoreLocation(tmp_path), [ROOT], SYSTEM, []).declared is None


class Image:
    """An overlay on the store directory below a root of its own, of which only the layers exist."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.upper, self.lower = base / "upper", base / "lower"
        for directory in (self.upper, self.lower, base / "nix/store"):
            directory.mkdir(parents=True)

    def observe(self, *settings: str) -> StoreLayers:
        """Observe it with the paths X and Y signed."""
        given = settings or (f"lowerdir={self.lower}", f"upperdir={self.upper}")
        overlay = Mount(f"{self.base}/nix/store", "overlay", "overlay", "/", "", given, 2, 1, "0:40")
        tasks = [PathTask(path, str(self.base / path.lstrip("/")), STORE) for path in (X, Y)]
        return observe(StoreLocation(self.base), [ROOT, overlay], None, tasks)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """Give an image with X and Y in its lower layer."""
    made = Image(tmp_path)
    for path in (X, Y):
        (made.lower / path.rpartition("/")[2]).write_text(path)
    return made


def test_clean_image_has_nothing_above_it(image: Image) -> None:
    """Other paths may come."""
    (image.upper / Z.rpartition("/")[2]).write_text("new")
    found = image.observe()

    assert ((), {}, ()) == (found.upper, found.below, found.unknown)


def test_entry_above_a_signed_path_is_seen_with_what_lies_below(image: Image) -> None:
    """The lower layer's bytes are hashed where another copy hides them."""
    name = X.rpartition("/")[2]
    (image.upper / name).write_text("another")
    found = image.observe()

    assert [(X, "file", True)] == [(entry.path, entry.kind, entry.below) for entry in found.upper]
    assert {X: hash_path(image.lower / name).hash.sri} == {path: look.nar_hash for path, look in found.below.items()}


def test_signed_path_that_came_later_lies_above_nothing(image: Image) -> None:
    """As after an upgrade of a machine that was booted from an image."""
    name = X.rpartition("/")[2]
    (image.lower / name).rename(image.upper / name)
    found = image.observe()

    assert [(X, None, False)] == [(entry.path, entry.mark, entry.below) for entry in found.upper]


@pytest.mark.root
def test_marks_are_read(image: Image) -> None:
    """A whiteout, and the attributes that only overlayfs reads."""
    os.mknod(image.upper / X.rpartition("/")[2], 0o020000, 0)
    directory = image.upper / Y.rpartition("/")[2]
    directory.mkdir()
    os.setxattr(directory, "trusted.overlay.opaque", b"y")
    found = image.observe()

    assert [(X, "whiteout"), (Y, "opaque")] == [(entry.path, entry.mark) for entry in found.upper]


def test_layers_that_are_not_there_are_said_to_be_missing(image: Image) -> None:
    """The lower one only when something needs it."""
    assert ("the upper layer of the store, /gone: not there",) == image.observe("lowerdir=/a", "upperdir=/gone").unknown
    assert () == image.observe("lowerdir=/gone", f"upperdir={image.upper}").unknown

    (image.upper / X.rpartition("/")[2]).write_text("another")
    found = image.observe("lowerdir=/gone", f"upperdir={image.upper}")

    assert ("the lower layer of the store, /gone: not there",) == found.unknown
    assert [None] == [entry.below for entry in found.upper]


def test_read_only_overlay_has_nothing_above(image: Image) -> None:
    """And an upper layer without a store directory holds nothing of it."""
    assert StoreLayers(mounts=image.observe().mounts) == image.observe()
    assert () == image.observe(f"lowerdir={image.lower}").unknown
