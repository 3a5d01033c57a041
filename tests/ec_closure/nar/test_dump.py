from __future__ import annotations

import os
import resource
import socket
import subprocess
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.nar.dump import MAX_DEPTH, dump
from ec_closure.nar.errors import TreeChangedError, TreeError, TreeTooLargeError, UnsupportedFileError
from ec_closure.nar.hash import hash_path
from ec_closure.nar.inspect import xattr_names, xattr_value
from ec_closure.nar.restore import restore
from ec_closure.nar.tree import Dir, File, Link, Tree, write_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import NixStore

LARGE = 3 * 1024 * 1024 + 5


def dumped(root: Path) -> bytes:
    """Return the archive of a tree on disk."""
    archive = BytesIO()
    size = dump(root, archive.write)
    assert len(archive.getvalue()) == size
    return archive.getvalue()


def plant(tree: Tree, destination: Path) -> bytes:
    """Put a tree on disk and return its archive."""
    archive = write_tree(tree)
    restore(BytesIO(archive), destination)
    return archive


def open_descriptors() -> list[str]:
    """Return what this process has open, by number."""
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir())


@pytest.fixture
def few_files() -> Iterator[None]:
    """Allow fewer open files than the trees below are deep or wide."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class TestAgainstNix:
    """The hash is Nix's, or it is worth nothing."""

    @pytest.mark.nix
    def test_a_thousand_trees_hash_as_nix_hashes_them(
        self, nix_store: NixStore, tmp_path: Path, random_tree: Callable[[int], Tree]
    ) -> None:
        """Names in every order and encoding, sizes around every boundary, links and empty directories."""
        roots = [tmp_path / str(number) for number in range(1000)]
        sizes = [len(plant(random_tree(seed), root)) for seed, root in enumerate(roots)]

        theirs = nix_store.run("nix", "hash", "path", *roots).splitlines()
        ours = [hash_path(root) for root in roots]

        assert theirs == [found.hash.sri for found in ours]
        assert sizes == [found.size for found in ours]

    @pytest.mark.nix
    def test_the_archive_is_byte_for_byte_that_of_nix(
        self, nix_store: NixStore, tmp_path: Path, random_tree: Callable[[int], Tree]
    ) -> None:
        """Not only the hash: what we would send is what Nix would send."""
        for seed in range(1000, 1010):
            root = tmp_path / str(seed)
            plant(random_tree(seed), root)

            assert nix_store.run_bytes("nix-store", "--dump", root) == dumped(root)

    @pytest.mark.nix
    @pytest.mark.usefixtures("few_files")
    def test_fifty_thousand_files_in_one_directory(self, nix_store: NixStore, scratch: Path) -> None:
        """A directory far larger than the number of files that may be open."""
        root = scratch / "wide"
        root.mkdir()
        for number in range(50_000):
            os.close(os.open(root / f"{number * 7919 % 50_000:x}", os.O_CREAT | os.O_WRONLY, 0o644))

        assert nix_store.run("nix", "hash", "path", root) == hash_path(root).hash.sri

    @pytest.mark.nix
    def test_modes_other_than_the_owners_execute_bit_do_not_count(self, nix_store: NixStore, tmp_path: Path) -> None:
        """Nix looks at one bit of the mode, and so must we: setuid files hash like others."""
        root = tmp_path / "modes"
        root.mkdir()
        for mode in (0o400, 0o444, 0o500, 0o644, 0o666, 0o711, 0o755, 0o4755, 0o2711, 0o1777, 0o611):
            (root / f"{mode:o}").touch()
            (root / f"{mode:o}").chmod(mode)

        assert nix_store.run("nix", "hash", "path", root) == hash_path(root).hash.sri


class TestLimit:
    """A caller that knows how large a tree should be reads no more."""

    @pytest.mark.parametrize("tree", [File(b"content"), File(bytes(LARGE)), Dir({b"a": File(b"a"), b"l": Link(b"a")})])
    def test_an_archive_of_just_that_size_is_read(self, tmp_path: Path, tree: Tree) -> None:
        """Not one byte more."""
        archive = plant(tree, tmp_path / "tree")
        found = BytesIO()

        assert len(archive) == dump(tmp_path / "tree", found.write, limit=len(archive))
        assert archive == found.getvalue()
        with pytest.raises(TreeTooLargeError, match=f"more than {len(archive) - 1} bytes") as caught:
            dump(tmp_path / "tree", len, limit=len(archive) - 1)
        assert str(tmp_path / "tree") == caught.value.place

    def test_a_sparse_file_of_terabytes_is_left_at_the_limit(self, tmp_path: Path) -> None:
        """It takes no space, no time to make, and an hour to read."""
        with (tmp_path / "sparse").open("wb") as file:
            file.truncate(8 << 40)
        given = 0

        def count(chunk: bytes | memoryview) -> None:
            nonlocal given
            given += len(chunk)

        before = open_descriptors()
        with pytest.raises(TreeTooLargeError):
            dump(tmp_path / "sparse", count, limit=1000)

        assert (True, before) == (given <= 1000, open_descriptors())


class TestDepth:
    """Depth is up to strangers, and must cost neither descriptors nor recursion."""

    @pytest.mark.usefixtures("few_files")
    def test_four_thousand_directories_deep(self, scratch: Path) -> None:
        """Deeper than any path name may be long, with entries before and after many a directory."""
        tree: Tree = Link(b"bottom")
        for level in range(4000):
            beside = {b"a": File(), b"z": File(b"z")} if level % 50 == 0 else {}
            tree = Dir({b"deeper": tree, **beside})
        archive = plant(tree, scratch / "deep")

        assert archive == dumped(scratch / "deep")

    @pytest.mark.usefixtures("few_files")
    def test_a_tree_without_end_is_no_tree_of_nix(self, scratch: Path) -> None:
        """The names of what lies that deep are as long as the way there: reading all of it would take the square."""
        tree: Tree = Dir({})
        for _ in range(MAX_DEPTH - 1):
            tree = Dir({b"d": tree})
        plant(tree, scratch / "deepest")
        plant(Dir({b"d": tree}), scratch / "deeper")

        assert write_tree(tree) == dumped(scratch / "deepest")
        with pytest.raises(UnsupportedFileError, match="deeper than 4096 directories") as caught:
            dump(scratch / "deeper", len)
        assert str(scratch / "deeper") == caught.value.place

    @pytest.mark.usefixtures("few_files")
    def test_descriptors_are_all_closed_again(self, scratch: Path) -> None:
        """A scan of a whole store opens each of them a hundred thousand times over."""
        tree: Tree = Dir({b"large": File(bytes(LARGE))})
        for _ in range(200):
            tree = Dir({b"a": File(), b"deeper": tree, b"link": Link(b"a")})
        plant(tree, scratch / "tree")
        before = open_descriptors()

        dump(scratch / "tree", len)
        with pytest.raises(ZeroDivisionError):
            dump(scratch / "tree", lambda chunk: 1 // (not isinstance(chunk, memoryview)))

        assert before == open_descriptors()

    def test_a_directory_that_is_moved_while_we_are_deep_inside_is_noticed(self, scratch: Path) -> None:
        """The way back up through ".." must not lead into another tree."""
        tree: Tree = Dir({b"file": File()})
        for _ in range(100):
            tree = Dir({b"d": tree})
        plant(tree, scratch / "deep")
        (scratch / "elsewhere").mkdir()
        middle = scratch / "deep" / "d" / "d"
        for directory in (middle, middle / "d"):
            directory.chmod(0o755)

        def move(relative: bytes, *_: object) -> None:
            if relative.endswith(b"file"):
                (middle / "d").rename(scratch / "elsewhere" / "d")

        with pytest.raises(TreeChangedError, match=r"moved|came or went"):
            dump(scratch / "deep", len, move)


class TestChanges:
    """What is read must have been there all at one time."""

    @pytest.mark.parametrize("size", [100, LARGE], ids=["small", "large"])
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda file: os.truncate(file, 10), "shrank|written"),
            (lambda file: os.truncate(file, LARGE + 100), "grew|written"),
            (lambda file: file.write_bytes(b"x" * file.stat().st_size), "written"),
            (lambda file: file.chmod(0o700), "written"),
        ],
        ids=["shrink", "grow", "overwrite", "chmod"],
    )
    def test_a_file_that_changes_while_it_is_read(
        self, tmp_path: Path, size: int, change: Callable[[Path], object], said: str
    ) -> None:
        """Between the first look and the last, whatever happens to a file is noticed."""
        plant(Dir({b"file": File(b"y" * size)}), tmp_path / "tree")
        (tmp_path / "tree" / "file").chmod(0o644)

        def inspect(relative: bytes, *_: object) -> None:
            if relative == b"file":
                change(tmp_path / "tree" / "file")

        with pytest.raises(TreeChangedError, match=said) as caught:
            dump(tmp_path / "tree", len, inspect)

        assert str(tmp_path / "tree" / "file") == caught.value.place

    def test_a_write_whose_time_was_set_back_is_noticed(self, tmp_path: Path) -> None:
        """A writer can set the modification time, but not the change time."""
        file = tmp_path / "file"
        file.write_bytes(b"good")
        os.utime(file, ns=(1, 1))

        def inspect(_: bytes, before: os.stat_result, *__: object) -> None:
            while file.stat().st_ctime_ns == before.st_ctime_ns:  # the clock of the file system has coarse ticks
                file.write_bytes(b"evil")
                os.utime(file, ns=(1, 1))

        with pytest.raises(TreeChangedError):
            dump(file, len, inspect)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (["rm b"], "no such file"),
            (["touch aa"], "came or went"),
            (["rm b", "ln -s /etc/passwd b"], "symbolic link"),
            (["rm b", "mkdir b"], "regular file"),
            (["rm b", "mkfifo b"], "regular file"),
            (["rm c", "touch c"], "invalid"),
            (["rmdir d", "ln -s /etc d"], "not a directory"),
        ],
        ids=["unlink", "add", "file-to-link", "file-to-directory", "file-to-fifo", "link-to-file", "directory-to-link"],
    )
    def test_a_directory_that_changes_while_it_is_read(self, tmp_path: Path, change: list[str], said: str) -> None:
        """An entry swapped for a symlink is never followed, and a fifo never waited for."""
        root = tmp_path / "tree"
        root.mkdir()
        (root / "a").touch()
        (root / "b").touch()
        (root / "c").symlink_to("a")
        (root / "d").mkdir()
        os.utime(root, ns=(1, 1))

        def inspect(relative: bytes, *_: object) -> None:
            if relative == b"a":
                for command in change:
                    subprocess.run(command.split(), cwd=root, check=True)

        with pytest.raises(TreeChangedError, match=f"(?i){said}"):
            dump(root, len, inspect)


class TestRefusals:
    """What has no place in an archive, and what cannot be read."""

    @pytest.mark.parametrize("inside", [False, True], ids=["root", "entry"])
    @pytest.mark.parametrize("kind", ["fifo", "socket", pytest.param("device", marks=pytest.mark.root)])
    def test_special_files_are_errors(self, tmp_path: Path, kind: str, *, inside: bool) -> None:
        """Nix refuses them too: they have no bytes to hash. None is opened, which might hang or do something."""
        place = tmp_path / "tree" / kind
        place.parent.mkdir()
        if kind == "fifo":
            os.mkfifo(place)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(os.path.relpath(place))
        else:
            os.mknod(place, 0o020600, os.makedev(1, 3))

        with pytest.raises(UnsupportedFileError) as caught:
            dump(place.parent if inside else place, len)

        assert str(place) == caught.value.place

    def test_a_place_is_one_line_whatever_names_hold(self, tmp_path: Path) -> None:
        """Names are chosen by strangers, and messages go to terminals and logs."""
        evil = tmp_path / os.fsdecode(b"new\nline\x1b[31m\xff")
        evil.mkdir()
        os.mkfifo(evil / "\u202efifo")

        with pytest.raises(UnsupportedFileError) as caught:
            dump(evil, len)
        assert f"{tmp_path}/new\\nline\\x1b[31m\\xff/\\u202efifo" == caught.value.place

    def test_what_does_not_exist_is_a_typed_error(self, tmp_path: Path) -> None:
        """With its place, and not as a change."""
        for path in (tmp_path / "nothing", tmp_path / "no" / "parent"):
            with pytest.raises(TreeError, match="no such file") as caught:
                dump(path, len)
            assert not isinstance(caught.value, TreeChangedError)
            assert str(path) == caught.value.place

    def test_what_the_writer_raises_is_not_taken_for_a_damaged_tree(self, tmp_path: Path) -> None:
        """A full disk at the other end says nothing about this one."""
        (tmp_path / "file").touch()

        def full(_: bytes | memoryview) -> None:
            raise BlockingIOError

        with pytest.raises(BlockingIOError):
            dump(tmp_path / "file", full)

    def test_what_the_inspector_cannot_read_is_a_typed_error_with_its_place(self, tmp_path: Path) -> None:
        """An inspector need not know where it is."""
        (tmp_path / "file").touch()

        def inspect(relative: bytes, *_: object) -> None:
            if relative:
                raise PermissionError(13, "Permission denied")

        with pytest.raises(TreeError, match="permission denied") as caught:
            dump(tmp_path, len, inspect)
        assert str(tmp_path / "file") == caught.value.place


class TestRoots:
    """What is asked for is what is archived."""

    def test_a_symlink_at_the_root_is_archived_not_followed(self, tmp_path: Path) -> None:
        """A store path may be a symlink."""
        (tmp_path / "link").symlink_to("/etc/passwd")

        assert write_tree(Link(b"/etc/passwd")) == dumped(tmp_path / "link")

    def test_a_symlink_above_the_root_is_followed(self, tmp_path: Path) -> None:
        """How the caller gets to a tree is the caller's business."""
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / "file").write_bytes(b"x")
        (tmp_path / "link").symlink_to("real")

        assert write_tree(File(b"x")) == dumped(tmp_path / "link" / "file")

    def test_roots_without_a_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The current directory is a tree like any other."""
        (tmp_path / "inner").mkdir()
        monkeypatch.chdir(tmp_path / "inner")
        here, above = Path(), Path("..")

        assert write_tree(Dir()) == dumped(here)
        assert write_tree(Dir({b"inner": Dir()})) == dumped(above)


class TestInspector:
    """The hook that lets a scan look at metadata in the same pass."""

    def test_every_entry_is_seen_once_directories_before_their_entries(self, tmp_path: Path) -> None:
        """With its path, its own stat, and a descriptor of the very thing that is read."""
        plant(
            Dir({b"d": Dir({b"e": Dir({b"deep": File()}), b"file": File(b"x", executable=True)}), b"link": Link(b"d")}),
            tmp_path / "tree",
        )
        seen: list[tuple[bytes, int | None]] = []

        def inspect(
            relative: bytes, stat: os.stat_result, fd: int | None, link_parent: tuple[int, bytes] | None
        ) -> None:
            path = tmp_path / "tree" / os.fsdecode(relative)
            assert path.lstat() == stat
            assert (fd is None) == (link_parent is not None)
            assert fd is None or os.fstat(fd) == stat
            seen.append((relative, stat.st_mode))

        size = dump(tmp_path / "tree", len, inspect)

        assert hash_path(tmp_path / "tree").size == size
        assert seen == [
            (b"", 0o40555),
            (b"d", 0o40555),
            (b"d/e", 0o40555),
            (b"d/e/deep", 0o100444),
            (b"d/file", 0o100555),
            (b"link", 0o120777),
        ]

    @pytest.mark.parametrize("tree", [File(b"x"), Link(b"x"), File(bytes(LARGE))], ids=["file", "link", "large"])
    def test_a_root_that_is_no_directory_is_seen_too(self, tmp_path: Path, tree: Tree) -> None:
        """Most files of a store by number are roots of nothing, but some are."""
        plant(tree, tmp_path / "root")
        seen: list[bytes] = []

        dump(tmp_path / "root", len, lambda relative, *_: seen.append(relative))

        assert seen == [b""]

    @pytest.mark.root
    def test_extended_attributes_of_every_kind_of_entry_can_be_read(self, tmp_path: Path) -> None:
        """Of files and directories through the descriptor, of symlinks by name, never following them."""
        plant(Dir({b"file": File(), b"link": Link(b"file")}), tmp_path / "tree")
        try:
            for place, name in (("", "user.a"), ("file", "user.b"), ("link", "trusted.c")):
                os.setxattr(tmp_path / "tree" / place, name, name.encode(), follow_symlinks=False)
        except OSError as error:
            pytest.skip(f"this file system has no extended attributes: {error}")
        seen: dict[bytes, dict[str, bytes]] = {}

        def inspect(relative: bytes, _: os.stat_result, fd: int | None, link_parent: tuple[int, bytes] | None) -> None:
            seen[relative] = {name: xattr_value(name, fd, link_parent) for name in xattr_names(fd, link_parent)}

        dump(tmp_path / "tree", len, inspect)

        assert seen == {
            b"": {"user.a": b"user.a"},
            b"file": {"user.b": b"user.b"},
            b"link": {"trusted.c": b"trusted.c"},
        }


@given(st.data())
def test_what_was_restored_dumps_to_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, trees: st.SearchStrategy[Tree], data: st.DataObject
) -> None:
    """For any tree: memory to archive to disk to archive."""
    destination = tmp_path_factory.mktemp("restored") / "tree"
    archive = plant(data.draw(trees), destination)

    assert archive == dumped(destination)
