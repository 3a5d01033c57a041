"""Mounts over the store, from what the kernel says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ec_closure.errors import LocalError
from ec_verify.location import StoreLocation
from ec_verify.observe import mounts
from ec_verify.observe.mounts import Mount, observe, over_store, parse

if TYPE_CHECKING:
    from pathlib import Path

REAL = b"""\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
36 22 254:1 /nix/store /nix/store ro,relatime shared:1 master:2 - ext4 /dev/vda1 rw
37 36 0:30 / /nix/store/aaa-b\\040c\\011d\\012e\\134f rw - tmpfs tm\\043pfs rw,size=1k
"""
ROOT = Mount("/", "ext4", "/dev/vda1", "/", "rw", ("rw",), 22, 1, "254:1")


def escape(name: bytes) -> bytes:
    """Spell *name* as the kernel does."""
    return b"".join(b"\\%03o" % byte if byte in b" \t\n\\#" else bytes([byte]) for byte in name)


def line(point: bytes, *, root: bytes = b"/", source: bytes = b"tmpfs") -> bytes:
    """Return one line of mountinfo."""
    return b"40 36 0:30 %b %b rw,relatime shared:7 - tmpfs %b rw\n" % (escape(root), escape(point), escape(source))


def test_real_lines_are_read_with_their_escapes() -> None:
    """Blanks, tabs, line feeds, backslashes and hash signs in names are spelled in octal."""
    assert [
        ROOT,
        Mount("/nix/store", "ext4", "/dev/vda1", "/nix/store", "rw", ("rw",), 36, 22, "254:1"),
        Mount("/nix/store/aaa-b c\td\ne\\f", "tmpfs", "tm#pfs", "/", "rw,size=1k", ("rw", "size=1k"), 37, 36, "0:30"),
    ] == parse(REAL)


names = st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name)


@given(point=names, root=names, source=names)
@example(point=b"/nix/store/x/bin", root=b"/tmp/a\rb", source=b"tmpfs")
@example(point=b"/nix/store/x", root=b"/", source=b"a\x0b\x0c\x1c\x85b")
@example(point=b"/nix/store/x - y", root=b" - ", source=b"-")
@example(point=b"-", root=b"-", source=b"-")
def test_no_name_hides_its_mount(point: bytes, root: bytes, source: bytes) -> None:
    """Whatever bytes an attacker puts into names, the mount is seen, alone and between others."""
    found = parse(REAL + line(point, root=root, source=source) + REAL)

    assert 7 == len(found)
    assert (point, root, source) == tuple(
        text.encode(errors="surrogateescape") for text in (found[3].point, found[3].root, found[3].source)
    )


@given(st.binary(max_size=80) | st.lists(st.sampled_from([b" ", b"-", b"\\777", b"\\12", b"a", b"\n"])).map(b"".join))
def test_malformed_lines_are_passed_over(garbage: bytes) -> None:
    """A line that follows no format neither raises nor takes the next one with it."""
    assert ROOT in parse(garbage + b"\n" + REAL)


@pytest.mark.parametrize(
    ("point", "hides"),
    [
        ("/nix/store/x/bin", True),
        ("/nix/store/x", True),
        ("/nix/store/.links", True),
        ("/nix/store", False),
        ("/nix", False),
        ("/nix/storehouse/x", False),
        ("/", False),
    ],
)
def test_what_lies_below_the_store_directory_hides_something(point: str, hides: bool) -> None:  # noqa: FBT001 - a table
    """The mount on the store directory is the store; what is mounted further down is not."""
    mount = Mount(point, "tmpfs", "tmpfs", "/", "rw")

    assert ([mount] if hides else []) == over_store(StoreLocation(), [mount])


def test_a_root_behind_a_link_is_resolved_as_the_kernel_does(tmp_path: Path) -> None:
    """The kernel names mount points without links on the way; findings name them as references do."""
    (tmp_path / "real" / "nix" / "store").mkdir(parents=True)
    (tmp_path / "alias").symlink_to("real")
    mount = Mount(f"{tmp_path}/real/nix/store/x", "tmpfs", "tmpfs", "/", "rw")

    assert ["/nix/store/x"] == [found.point for found in over_store(StoreLocation(tmp_path / "alias"), [mount])]


def test_the_mounts_of_this_machine_can_be_read() -> None:
    """There is always one on the root."""
    assert "/" in {mount.point for mount in observe()}


def test_without_proc_there_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mounts that cannot be seen must not count as none."""
    monkeypatch.setattr(mounts, "_MOUNTINFO", tmp_path / "mountinfo")

    with pytest.raises(LocalError, match="no mounts"):
        observe()


@pytest.mark.parametrize(
    ("kinds", "image"),
    [
        (["ext4"], False),
        ([], False),
        (["squashfs"], True),
        (["ext4", "overlay"], True),
        (["overlay", "ext4"], False),
    ],
)
def test_a_store_is_an_image_by_what_is_mounted_last(tmp_path: Path, kinds: list[str], image: bool) -> None:  # noqa: FBT001 - a table's column
    """Netboot and ISO systems have an overlay there; what lies below the last mount is not seen."""
    location = StoreLocation(root=tmp_path)
    found = [Mount(str(location.store), kind, "none", "/", "") for kind in kinds]

    assert image == mounts.is_image(location, [*parse(REAL), *found])
