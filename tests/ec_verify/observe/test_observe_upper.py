"""What the upper layer of an overlay root holds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ec_verify.location import StoreLocation
from ec_verify.observe import upper
from ec_verify.observe.mounts import Mount
from ec_verify.observe.root import observe
from ec_verify.observe.upper import MAX_DEPTH, UpperEntry, UpperLayer, walk

if TYPE_CHECKING:
    from pathlib import Path

ROOT = Mount("/", "ext4", "/dev/vda", "/", "rw", number=1, parent=0, device="254:0")
ETC = f"/nix/store/{'a' * 32}-etc"
SUDOERS = f"/nix/store/{'s' * 32}-etc-sudoers"


def everything(_path: str) -> bool:
    """Skip nothing."""
    return False


def write(root: Path, *names: str) -> None:
    """Make files below *root*."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def paths(layer: UpperLayer) -> list[str]:
    """Return the paths of the entries."""
    return [entry.path for entry in layer.entries]


def test_entries_beyond_the_first_thousands_are_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One among them may be what matters: their number alone says nothing of it."""
    monkeypatch.setattr(upper, "MAX_KEPT", 2)
    write(tmp_path, "a", "b", "etc/systemd/system/evil.service")
    layer = walk(tmp_path, skip=everything)

    assert (["/a", "/b"], 1, ("1 entries beyond the first 2",)) == (paths(layer), layer.more, layer.unknown)


def test_files_and_links_are_listed_and_plain_directories_are_not(tmp_path: Path) -> None:
    """The kernel makes directories for what lies in them."""
    write(tmp_path, "etc/a", "etc/deep/er/b")
    (tmp_path / "etc/link").symlink_to("/somewhere")
    os.mkfifo(tmp_path / "pipe")

    assert (
        UpperEntry("/etc/a", "file"),
        UpperEntry("/etc/deep/er/b", "file"),
        UpperEntry("/etc/link", "symlink", target="/somewhere"),
        UpperEntry("/pipe", "other"),
    ) == walk(tmp_path, skip=everything).entries


def test_what_is_skipped_is_not_entered(tmp_path: Path) -> None:
    """A million log files cost nothing."""
    write(tmp_path, "var/log/a", "etc/b")

    assert ["/etc/b"] == paths(walk(tmp_path, skip=lambda path: path == "/var", max_entries=3))


def test_links_are_not_followed(tmp_path: Path) -> None:
    """Neither one in the layer, nor one that takes a directory's place."""
    write(tmp_path / "outside", "secret")
    (tmp_path / "upper").mkdir()
    (tmp_path / "upper/etc").symlink_to(tmp_path / "outside")

    assert ["/etc"] == paths(walk(tmp_path / "upper", skip=everything))


def test_walk_ends(tmp_path: Path) -> None:
    """By number and by depth, and says so."""
    write(tmp_path, *(f"many/{number}" for number in range(20)))
    deep = os.open(tmp_path, os.O_RDONLY)
    for _ in range(MAX_DEPTH + 2):
        os.mkdir("d", dir_fd=deep)
        deeper = os.open("d", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = deeper
    os.close(deep)

    assert any("deeper than" in reason for reason in walk(tmp_path, skip=everything).unknown)
    assert ("after 5 entries no more were looked at",) == walk(
        tmp_path / "many", skip=everything, max_entries=5
    ).unknown


@pytest.mark.root
def test_marks_of_overlayfs_are_read(tmp_path: Path) -> None:
    """A whiteout of either kind, and directories that hide or replace others."""
    os.mknod(tmp_path / "deleted", 0o020000, 0)
    write(tmp_path, "also", "opaque/x")
    os.setxattr(tmp_path / "also", "trusted.overlay.whiteout", b"y")
    os.setxattr(tmp_path / "opaque", "trusted.overlay.opaque", b"y")
    found = {entry.path: entry.mark for entry in walk(tmp_path, skip=everything).entries}

    assert {"/also": "whiteout", "/deleted": "whiteout", "/opaque": "opaque", "/opaque/x": None} == found


class Root:
    """A root that is an overlay, to the mounts at least."""

    def __init__(self, base: Path) -> None:
        self.base, self.upper = base, base / "upper-layer"
        (self.upper / "nix/store").mkdir(parents=True)

    def observe(self, kind: str = "overlay", point: str = "", upper: str = "") -> UpperLayer:
        """Observe it."""
        options = ("lowerdir=/gone", f"upperdir={upper or self.upper}")
        mount = Mount(point or str(self.base), kind, "overlay", "/", "", options, 2, 1, "0:40")
        return observe(StoreLocation(self.base), [ROOT, mount])


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """Give one."""
    return Root(tmp_path)


def test_places_to_write_to_and_the_store_are_passed_over(root: Root) -> None:
    """The store has a look of its own."""
    write(root.upper, "var/log/x", "nix/store/x", "nix/var/x", "root/x", "nix/x", "etc/x", "variable")

    assert ["/etc/x", "/nix/x", "/variable"] == paths(root.observe())


def test_root_that_is_no_overlay_was_not_written_over(root: Root) -> None:
    """Nor one that only lies on an overlay: that is somebody else's."""
    write(root.upper, "etc/x")

    assert UpperLayer() == root.observe("ext4")
    assert UpperLayer() == root.observe(point="/")


def test_layer_that_is_not_there_is_said_to_be_missing(root: Root) -> None:
    """As in a container, whose layers are the host's."""
    assert ("the upper layer of the root, /gone: not there",) == root.observe(upper="/gone").unknown
    assert observe(StoreLocation(), []).unknown


def test_copies_from_the_systems_etc_are_known(root: Root) -> None:
    """A file of the tree itself, one behind a link, and one that was edited."""
    write(root.base, f"{ETC[1:]}/etc/plain", "etc/plain", "etc/sudoers", "etc/edited", "etc/other")
    etc = root.base / ETC[1:] / "etc"
    (root.base / "etc/static").symlink_to(f"{ETC}/etc")
    (etc / "plain").write_text("plain")
    (etc / "sudoers").symlink_to(SUDOERS)
    (root.base / SUDOERS[1:]).write_text("root ALL")
    (etc / "edited").write_text("as it was")
    for name, text in (("plain", "plain"), ("sudoers", "root ALL"), ("edited", "as it is"), ("other", "new")):
        write(root.upper, f"etc/{name}")
        (root.base / "etc" / name).write_text(text)
    found = {entry.path: entry.copy_of for entry in root.observe().entries}

    assert {"/etc/edited": "", "/etc/other": "", "/etc/plain": ETC, "/etc/sudoers": SUDOERS} == found
