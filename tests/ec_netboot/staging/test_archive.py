"""Archives of images: three files come out, and whatever else somebody packs is refused."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tarfile
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ec_closure.errors import BadInputError, LimitError
from ec_netboot.errors import ArchiveError
from ec_netboot.staging import archive
from ec_netboot.staging.archive import unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD: list[tuple[Any, bytes]] = [("kernel", b"k" * 700), ("initrd", b"i" * 3000), ("netboot.ipxe", b"#!ipxe\n")]


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    """Return a header."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def opened(tmp_path: Path, data: bytes) -> dict[str, bytes]:
    """Unpack *data* and return the files that came out, after comparing them with what was said about them."""
    target = tmp_path / "image"
    target.mkdir()
    found = unpack(io.BytesIO(data), target, what="archive")
    files = {path.name: path.read_bytes() for path in target.iterdir()}
    assert {name: (hashlib.sha256(data).hexdigest(), len(data)) for name, data in files.items()} == {
        name: (file.sha256, file.size) for name, file in found.items()
    }
    return files


@pytest.mark.parametrize("how", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("kernel", ["kernel", "bzImage", "Image", "./kernel"])
def test_three_files_come_out(tmp_path: Path, make_archive: Callable[..., bytes], kernel: str, how: int) -> None:
    """Whatever kind of tar made it, and whatever the kernel's format is called."""
    data = make_archive([entry_of_top(), (kernel, GOOD[0][1]), *GOOD[1:]], how)

    assert opened(tmp_path, data) == {"kernel": b"k" * 700, "initrd": b"i" * 3000, "netboot.ipxe": b"#!ipxe\n"}


def entry_of_top() -> tuple[tarfile.TarInfo, bytes]:
    """Return the entry that tar writes for the directory it was given."""
    return entry("./", tarfile.DIRTYPE), b""


def test_times_in_extended_headers_do_no_harm(tmp_path: Path, make_archive: Callable[..., bytes]) -> None:
    """GNU tar in POSIX format and Python write them for each file."""
    info = entry("kernel")
    info.mtime = 1.5

    assert len(opened(tmp_path, make_archive([(info, b"k"), *GOOD[1:]], tarfile.PAX_FORMAT))) == 3


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (entry("../escaped"), "no part of a boot image"),
        (entry("/etc/cron.d/job"), "no part of a boot image"),
        (entry("./../kernel"), "no part of a boot image"),
        (entry("sub/kernel"), "no part of a boot image"),
        (entry("release.json"), "no part of a boot image"),
        (entry("kernel\x1b[31m"), "no part of a boot image"),
        (entry("kernel", tarfile.SYMTYPE, "/etc/shadow"), "is a link"),
        (entry("initrd", tarfile.LNKTYPE, "/etc/shadow"), "is a hard link"),
        (entry("kernel", tarfile.CHRTYPE), "is a device"),
        (entry("kernel", tarfile.BLKTYPE), "is a device"),
        (entry("kernel", tarfile.FIFOTYPE), "is a FIFO"),
        (entry("sub", tarfile.DIRTYPE), "is a directory"),
        (entry("kernel", tarfile.GNUTYPE_SPARSE), "is no file"),
        (entry("kernel", tarfile.GNUTYPE_LONGNAME), "is no file"),
        (entry("kernel"), "twice"),
    ],
)
def test_what_does_not_belong_is_refused(
    tmp_path: Path, make_archive: Callable[..., bytes], extra: tarfile.TarInfo, said: str
) -> None:
    """Nothing appears outside, and nothing is followed."""
    with pytest.raises(ArchiveError, match=said):
        opened(tmp_path, make_archive([*GOOD, (extra, b"evil" if extra.isreg() else b"")], tarfile.USTAR_FORMAT))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["image"]
    assert {path.name for path in (tmp_path / "image").iterdir()} <= {"kernel", "initrd", "netboot.ipxe"}


@pytest.mark.parametrize("missing", range(3))
def test_an_image_without_one_of_its_files_is_none(
    tmp_path: Path, make_archive: Callable[..., bytes], missing: int
) -> None:
    """A machine would load the kernel and then stand still."""
    with pytest.raises(ArchiveError, match=f"holds no {GOOD[missing][0]}"):
        opened(tmp_path, make_archive([*GOOD[:missing], *GOOD[missing + 1 :]]))


def test_an_empty_file_is_refused(tmp_path: Path, make_archive: Callable[..., bytes]) -> None:
    """It boots nothing."""
    with pytest.raises(ArchiveError, match="kernel is empty"):
        opened(tmp_path, make_archive([("kernel", b""), *GOOD[1:]]))


@pytest.mark.parametrize("key", ["path", "linkpath", "size", "GNU.sparse.name", "SCHILY.xattr.user.x"])
def test_extended_headers_change_nothing(tmp_path: Path, make_archive: Callable[..., bytes], key: str) -> None:
    """A name or a size that another reader would see differently is refused, not interpreted."""
    info = entry("kernel")
    info.pax_headers = {key: "5"}

    with pytest.raises(ArchiveError, match="an extended header sets"):
        opened(tmp_path, make_archive([(info, b"kkkkk"), *GOOD[1:]], tarfile.PAX_FORMAT))


def test_sizes_are_capped(tmp_path: Path, make_archive: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that announces more than an image has is not begun."""
    monkeypatch.setitem(archive.LIMITS, "initrd", 2999)

    with pytest.raises(LimitError, match="initrd has 3000 bytes where 2999 are accepted"):
        opened(tmp_path, make_archive(GOOD))

    assert not (tmp_path / "image/initrd").exists()


def test_a_large_extended_header_is_not_read(tmp_path: Path, make_archive: Callable[..., bytes]) -> None:
    """It would be held in memory."""
    info = entry("kernel")
    info.pax_headers = {"comment": "x" * 70_000}

    with pytest.raises(LimitError, match="an extended header of"):
        opened(tmp_path, make_archive([(info, b"k"), *GOOD[1:]], tarfile.PAX_FORMAT))


def test_many_entries_are_not_read(tmp_path: Path, make_archive: Callable[..., bytes]) -> None:
    """An archive of a million empty directories ends early."""
    with pytest.raises(LimitError, match="more than the 32 entries"):
        opened(tmp_path, make_archive([entry_of_top()] * 40))


def test_a_bomb_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gigabytes in a few kilobytes are noticed after the first piece that does not fit."""
    monkeypatch.setitem(archive.LIMITS, "kernel", 1 << 20)
    header = entry("kernel").tobuf(tarfile.USTAR_FORMAT)
    bomb = zstandard.compress(bytes(256 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(BadInputError):
            opened(tmp_path, bomb)
        (tmp_path / "image").rmdir()
        with pytest.raises(ArchiveError, match=r"follows the end|is empty"):
            opened(tmp_path, zstandard.compress(header) + bomb)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_a_window_that_needs_gigabytes_is_refused(tmp_path: Path) -> None:
    """The frame decides how much a reader must remember, up to what is granted."""
    parameters = zstandard.ZstdCompressionParameters(window_log=30, compression_level=1)
    data = zstandard.ZstdCompressor(compression_params=parameters).compressobj().compress(b"x" * 4096)
    engine = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = engine.compress(b"x" * 4096) + engine.flush()

    with pytest.raises(ArchiveError, match="is damaged"):
        opened(tmp_path, data)


@pytest.mark.parametrize("behind", [b"\0" * 2_000_000, b"more", b"\0" * 512 + b"hidden"])
def test_nothing_follows_the_end(tmp_path: Path, make_archive: Callable[..., bytes], behind: bytes) -> None:
    """What another reader might take for a part of the archive."""
    whole = zstandard.decompress(make_archive(GOOD))

    with pytest.raises(ArchiveError, match="something follows the end"):
        opened(tmp_path, zstandard.compress(whole + behind))


def test_every_cut_is_noticed(tmp_path: Path, make_archive: Callable[..., bytes]) -> None:
    """A download or a disk that ended early gives no image, wherever it ended."""
    data = make_archive(GOOD)
    for end in range(0, len(data) - 1, 7):
        scratch = tmp_path / str(end)
        scratch.mkdir()
        with pytest.raises(BadInputError):
            opened(scratch, data[:end])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=2048), at=st.integers(0, 6000), value=st.integers(0, 255))
def test_garbage_raises_what_it_should(
    tmp_path_factory: pytest.TempPathFactory, make_archive: Callable[..., bytes], raw: bytes, at: int, value: int
) -> None:
    """Random bytes, and one changed byte of a good archive, are bad input or three whole files: never anything else."""
    whole = bytearray(zstandard.decompress(make_archive(GOOD)))
    whole[at % len(whole)] = value
    for data in (raw, zstandard.compress(raw), zstandard.compress(bytes(whole))):
        target = tmp_path_factory.mktemp("garbage")
        with contextlib.suppress(BadInputError):
            assert len(opened(target, data)) == 3
        assert {path.name for path in target.rglob("*")} <= {"image", "kernel", "initrd", "netboot.ipxe"}
