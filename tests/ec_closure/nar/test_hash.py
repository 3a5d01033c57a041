from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ec_closure.hashes import DIGEST_SIZES, Hash, HashError
from ec_closure.nar.errors import TreeError
from ec_closure.nar.hash import hash_flat, hash_path

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import NixStore


@pytest.mark.nix
@pytest.mark.parametrize("size", [0, 1, 1_048_575, 1_048_576, 3_000_000])
def test_flat_hashes_equal_those_of_nix(nix_store: NixStore, tmp_path: Path, size: int) -> None:
    """For each algorithm, and for sizes around the buffer's."""
    (tmp_path / "file").write_bytes(os.urandom(size))
    for algorithm in DIGEST_SIZES:
        theirs = nix_store.run("nix-hash", "--flat", "--type", algorithm, tmp_path / "file")

        assert theirs == hash_flat(tmp_path / "file", algorithm).base16


@pytest.mark.nix
def test_archives_hash_with_old_algorithms_too(nix_store: NixStore, tmp_path: Path) -> None:
    """Old fixed outputs are addressed by MD5 and SHA-1 of their archives."""
    (tmp_path / "file").write_bytes(b"old")
    for algorithm in DIGEST_SIZES:
        theirs = nix_store.run("nix-hash", "--type", algorithm, tmp_path)

        assert theirs == hash_path(tmp_path, algorithm=algorithm).hash.base16


def test_only_a_regular_file_has_a_flat_hash(tmp_path: Path) -> None:
    """A symlink to a good file is not that file, and a fifo is not waited for."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")

    assert Hash.of("sha256", b"") == hash_flat(tmp_path / "file", "sha256")
    for name in ("link", "fifo", ".", "nothing"):
        with pytest.raises(TreeError) as caught:
            hash_flat(tmp_path / name, "sha256")
        assert str(tmp_path / name) == caught.value.place


def test_an_unknown_algorithm_is_refused(tmp_path: Path) -> None:
    """What a declaration names is not passed to the hashing library unchecked."""
    for hashing in (lambda: hash_flat(tmp_path, "md4"), lambda: hash_path(tmp_path, algorithm="shake_256")):
        with pytest.raises(HashError, match="unknown"):
            hashing()
