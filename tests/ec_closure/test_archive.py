"""A container with one spelling: whatever is not it is refused."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure import archive
from ec_closure.archive import ArchiveError, ArchiveLimitError

MEMBERS = {"a.json": b"x" * 600, "trust/1.root.json": b"", "verify.toml": b"hello"}
WHOLE = archive.pack(MEMBERS)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}(/[A-Za-z0-9][A-Za-z0-9._-]{0,20})?", fullmatch=True)


def unpack(data: bytes, *, max_bytes: int = 1 << 20, max_member: int = 1 << 20) -> dict[str, bytes]:
    """Read an archive."""
    return archive.unpack(data, what="bundle", max_bytes=max_bytes, max_member=max_member)


@given(st.dictionaries(names, st.binary(max_size=1500), max_size=5))
def test_what_was_packed_comes_out_and_any_tar_reads_it(members: dict[str, bytes]) -> None:
    """The standard library's, for one."""
    data = archive.pack(members)

    assert members == unpack(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert members == {one.name: file.read() for one in tar if (file := tar.extractfile(one)) is not None}


@given(st.binary(max_size=3000))
def test_any_bytes_are_refused_or_are_the_one_spelling(data: bytes) -> None:
    """With a typed error."""
    try:
        found = unpack(data)
    except ArchiveError:
        return
    assert data == archive.pack(found)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_changes_a_member(at: int, change: int) -> None:
    """No byte is without a meaning: nothing can hide between the members."""
    data = bytearray(WHOLE)
    data[at] ^= change
    try:
        found = unpack(bytes(data))
    except ArchiveError:
        return
    assert MEMBERS != found
    assert bytes(data) == archive.pack(found)


@given(st.integers(0, len(WHOLE) - 1))
def test_a_truncated_archive_is_refused(length: int) -> None:
    """Wherever it ends."""
    with pytest.raises(ArchiveError):
        unpack(WHOLE[:length])


def other(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> bytes:
    """Return an archive with one member that another program made."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        member = tarfile.TarInfo(name)
        member.type = kind
        for field, value in fields.items():
            setattr(member, field, value)
        tar.addfile(member)
    return stream.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        other("../evil"),
        other("/etc/passwd"),
        other("link", tarfile.SYMTYPE, linkname="/etc/passwd"),
        other("device", tarfile.CHRTYPE),
        other("directory", tarfile.DIRTYPE),
        other("plain", mode=0o4755),
        other("plain", uname="root"),
        WHOLE[:-1024] + WHOLE,
        WHOLE + bytes(512),
        WHOLE[:-1024] + archive.pack({"0": b""}),
        WHOLE[:-1024] + archive.pack({"verify.toml": b"other"}),
    ],
    ids=["up", "absolute", "symlink", "device", "directory", "mode", "owner", "twice", "tail", "order", "twin"],
)
def test_what_tar_can_say_beyond_plain_members_is_refused(data: bytes) -> None:
    """Links, devices, ways out of the directory, second members of one name, bytes after the end."""
    with pytest.raises(ArchiveError):
        unpack(data)


def test_sizes_and_counts_are_capped() -> None:
    """Before anything is held."""
    for limits in ({"max_bytes": 100}, {"max_member": 599}):
        with pytest.raises(ArchiveLimitError):
            unpack(WHOLE, **limits)
    with pytest.raises(ArchiveLimitError):
        unpack(archive.pack({f"m{number:05}": b"" for number in range(archive.MAX_MEMBERS + 1)}), max_bytes=1 << 30)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b/c", "/a", "a/", "a b", "é", "x" * 100, "a\n"])
def test_a_name_that_none_may_have_is_not_written(name: str) -> None:
    """A reader would refuse it."""
    with pytest.raises(ArchiveError):
        archive.pack({name: b""})
