"""Attacks with mounts and overlays. All of them end with the mount namespace that they were made in."""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING

from ec_verify.demo.attacks.attack import Attack
from ec_verify.demo.attacks.contents import BACK_DOOR
from ec_verify.demo.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ec_verify.demo.node import Node

_NAMESPACE = ("unshare", "--mount", "--propagation", "private", "sh", "-c")
_BIND = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
_READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
# A tmpfs at $1 with the upper layer prepared in $2; the lower layer $3; all of it seen at $4.
_OVERLAY = (
    'mount -t tmpfs tmpfs "$1" && mkdir "$1/work" && cp -a "$2" "$1/upper" && mount -t overlay overlay '
    '-o "lowerdir=$3,upperdir=$1/upper,workdir=$1/work" "$4" && shift 4 && exec "$@"'
)
# The same, with the store directory itself as lower layer, bound to $3 as the initrd mounts an image there.
_IMAGE = f'mount --bind "$4" "$3" && {_OVERLAY}'
_PUBLISHER = "publisher-1.4"


def read_only(node: Node) -> None:
    """Bind the store directory over itself, read-only, as NixOS does at boot."""
    node.wrapper = [*_NAMESPACE, _READ_ONLY, "sh", str(node.root / "nix/store")]


def bind_store(node: Node) -> None:
    """Mount a copy of the whole store over it: what the next look at the disk sees is something else."""
    copy = node.directory / "copy"
    node.lab.copy(node.root / "nix/store", copy)
    node.wrapper = [*_NAMESPACE, _BIND, "sh", str(copy), str(node.root / "nix/store")]


def _store_overlay(node: Node, script: str, lower: Path, prepare: Callable[[Path], object]) -> None:
    """Show *lower* through an overlay on the store directory, with what *prepare* puts into the upper layer."""
    upper = node.directory / "upper"
    upper.mkdir()
    prepare(upper)
    scratch = node.directory / "scratch"
    scratch.mkdir()
    places = (scratch, upper, lower, node.root / "nix/store")
    node.wrapper = [*_NAMESPACE, script, "sh", *map(str, places)]


def _image(node: Node, prepare: Callable[[Path], object]) -> None:
    """Make the node one that was booted from an image: its store is an overlay, and it is known to be."""
    lower = node.root / "nix/.ro-store"
    lower.mkdir()
    node.config.write_text(node.config.read_text().replace("[store]\n", '[store]\nlayers = "overlay"\n'))
    _store_overlay(node, _IMAGE, lower, prepare)


def _alter(node: Node, path: str, upper: Path) -> None:
    file = upper / path.rpartition("/")[2]
    file.write_bytes(node.physical(path).read_bytes() + BACK_DOOR)
    file.chmod(0o555)
    os.utime(file, (1, 1))
    node.attacked = [path]


def overlay_store(node: Node) -> None:
    """Mount an overlay over an ordinary store, with another publisher in its upper layer."""
    path = node.path(_PUBLISHER)
    _store_overlay(node, _OVERLAY, node.root / "nix/store", lambda upper: _alter(node, path, upper))


def boot_image(node: Node) -> None:
    """Run from an image, with nothing written since."""
    _image(node, lambda _upper: None)


def add_to_image(node: Node) -> None:
    """Run from an image, and let Nix make a directory of its own in the store."""
    _image(node, lambda upper: (upper / ".links").mkdir(mode=0o755))


def alter_image(node: Node) -> None:
    """Write another publisher over that of the image."""
    path = node.path(_PUBLISHER)
    _image(node, lambda upper: _alter(node, path, upper))


def delete_from_image(node: Node) -> None:
    """Delete the TLS settings of the image."""
    path = node.path("tls.conf")
    _image(node, lambda upper: os.mknod(upper / path.rpartition("/")[2], stat.S_IFCHR, 0))
    node.attacked = [path]


def touch_image(node: Node) -> None:
    """Let the upper layer hold a path of the image as it is, as after `nix-store --optimise`."""
    path = node.path(_PUBLISHER)
    _image(node, lambda upper: shutil.copy2(node.physical(path), upper))
    node.attacked = [path]


def hide_below_image(node: Node) -> None:
    """Alter the publisher of the image itself, and lay the right one over it for as long as somebody looks."""
    path = node.path(_PUBLISHER)
    _image(node, lambda upper: shutil.copy2(node.physical(path), upper))
    store = Store(node.root)
    store.overwrite(path, store.physical(path).read_bytes() + BACK_DOOR)
    node.attacked = [path]


def _overlay_root(node: Node, prepare: Callable[[Path], object]) -> None:
    """Make the root of the node an overlay, and write to it what a system writes at boot, and what *prepare* does."""
    upper, lower, scratch = (node.directory / name for name in ("upper", "lower", "scratch"))
    for directory in (upper / "etc", upper / "bin", upper / "var/log", lower, scratch):
        directory.mkdir(parents=True)
    (upper / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (upper / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (upper / "etc/static").symlink_to(f"{node.release.toplevel}/etc")
    (upper / "bin/sh").symlink_to(node.path(_PUBLISHER))
    (upper / "var/log/messages").write_text("started\n")
    prepare(upper)
    node.wrapper = [*_NAMESPACE, _IMAGE, "sh", *map(str, (scratch, upper, lower, node.root))]


def boot_overlay_root(node: Node) -> None:
    """Run on a root that is an overlay."""
    _overlay_root(node, lambda _upper: None)


def write_unit(node: Node) -> None:
    """Run on a root that is an overlay, and add a unit of systemd to it."""
    place = "etc/systemd/system/back-door.service"

    def prepare(upper: Path) -> None:
        (upper / place).parent.mkdir(parents=True)
        (upper / place).write_text("[Service]\nExecStart=/tmp/back-door\n")

    _overlay_root(node, prepare)
    node.attacked = [f"/{place}"]


def alter_below_root(node: Node) -> None:
    """Run on a root that is an overlay, and write another publisher into its store."""
    path = node.path(_PUBLISHER)

    def prepare(upper: Path) -> None:
        (upper / "nix/store").mkdir(parents=True)
        _alter(node, path, upper / "nix/store")

    _overlay_root(node, prepare)


def write_tool(node: Node) -> None:
    """Run on a root that is an overlay, and leave a program on it."""

    def prepare(upper: Path) -> None:
        (upper / "opt").mkdir()
        (upper / "opt/tool").write_text("a tool")

    _overlay_root(node, prepare)
    node.attacked = ["/opt/tool"]


ATTACKS = (
    Attack(
        "read-only-store",
        "Store bound over itself",
        "bound the store over itself, read-only, as NixOS does",
        read_only,
        frozenset(),
        verdict="passed",
        needs_root=True,
    ),
    Attack(
        "store-copy",
        "A copy mounted over the store",
        "mounted a copy over the whole store",
        bind_store,
        frozenset({"EV317"}),
        needs_root=True,
    ),
    Attack(
        "store-overlay",
        "Overlay over the store",
        "mounted an overlay over the store, with a publisher of their own in it",
        overlay_store,
        frozenset({"EV317", "EV318"}),
        needs_root=True,
    ),
    Attack(
        "image",
        "Store from an image",
        "booted from an image whose store is an overlay",
        boot_image,
        frozenset(),
        verdict="passed",
        needs_root=True,
    ),
    Attack(
        "image-in-use",
        "Store from an image, in use",
        "let Nix write beside the paths of the image",
        add_to_image,
        frozenset(),
        verdict="passed",
        needs_root=True,
    ),
    Attack(
        "image-altered",
        "Path of an image altered",
        "wrote another publisher over that of the image",
        alter_image,
        frozenset({"EV201", "EV318"}),
        needs_root=True,
    ),
    Attack(
        "image-deleted",
        "Path of an image deleted",
        "deleted the TLS settings of the image",
        delete_from_image,
        frozenset({"EV202", "EV318"}),
        needs_root=True,
    ),
    Attack(
        "image-copied-up",
        "Path of an image copied up",
        "let the upper layer hold the publisher as it is",
        touch_image,
        frozenset({"EV318"}),
        verdict="passed",
        needs_root=True,
    ),
    Attack(
        "image-hidden",
        "Altered image below a clean copy",
        "altered the image, and hid that below the right bytes",
        hide_below_image,
        frozenset({"EV318"}),
        needs_root=True,
    ),
    Attack(
        "overlay-root",
        "Root that is an overlay",
        "booted with an overlay as root, and wrote what a system writes",
        boot_overlay_root,
        frozenset(),
        verdict="passed",
        on_store=False,
        needs_root=True,
    ),
    Attack(
        "overlay-root-unit",
        "Unit in the upper layer of the root",
        "added a unit to a root that is an overlay",
        write_unit,
        frozenset({"EV318"}),
        on_store=False,
        needs_root=True,
    ),
    Attack(
        "overlay-root-store",
        "Store altered through the root",
        "wrote another publisher into the store of a root that is an overlay",
        alter_below_root,
        frozenset({"EV201", "EV318"}),
        needs_root=True,
    ),
    Attack(
        "overlay-root-file",
        "Program in the upper layer of the root",
        "left a program on a root that is an overlay",
        write_tool,
        frozenset({"EV319"}),
        verdict="passed",
        on_store=False,
        needs_root=True,
    ),
)
