"""Private keys on disk."""

from __future__ import annotations

import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from ec_release.errors import KeyFileError
from ec_release.trust.keys import generate, load_private, load_public, load_ring, new_file

if TYPE_CHECKING:
    from pathlib import Path


def written(path: Path, data: bytes, mode: int = 0o600) -> Path:
    """Write *data* to *path*."""
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_a_key_comes_back_as_it_was(tmp_path: Path) -> None:
    """Nobody but the owner may read the file, from its first byte on."""
    made = generate(tmp_path / "targets-1.pem")
    assert load_private(tmp_path / "targets-1.pem").public_key == made.public_key
    assert stat.S_IMODE((tmp_path / "targets-1.pem").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["targets-1.pem"]


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """A second key under the same name is refused."""
    made = generate(tmp_path / "targets-1.pem")
    with pytest.raises(KeyFileError, match=r"targets-1\.pem"):
        generate(tmp_path / "targets-1.pem")
    assert load_private(tmp_path / "targets-1.pem").public_key == made.public_key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """With a hint that says what to do, also about the key."""
    generate(tmp_path / "targets-1.pem")
    (tmp_path / "targets-1.pem").chmod(mode)
    with pytest.raises(KeyFileError, match=f"mode {mode:04o}") as caught:
        load_ring([tmp_path])
    assert "chmod 600" in (caught.value.hint or "")
    assert "rotate" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a key",
        ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
        ),
        ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ],
    ids=["empty", "text", "ecdsa", "encrypted", "public"],
)
def test_what_is_no_usable_key_is_named(tmp_path: Path, data: bytes) -> None:
    """Empty, foreign, of another type, encrypted, or only the public half."""
    with pytest.raises(KeyFileError, match=r"x\.pem"):
        load_private(written(tmp_path / "x.pem", data))


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """The pipeline forgot to unpack the keys."""
    with pytest.raises(KeyFileError, match="nowhere"):
        load_ring([tmp_path / "nowhere"])


def test_names_of_new_keys_count_on(tmp_path: Path) -> None:
    """The old key's file stays until its rotation is through."""
    generate(new_file(tmp_path, "targets"))
    generate(new_file(tmp_path, "targets"))
    generate(new_file(tmp_path, "root"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["OFFLINE-root-1.pem", "targets-1.pem", "targets-2.pem"]


def test_root_keys_say_that_they_must_leave(new_place: Any) -> None:
    """Whoever lists the directory sees which files do not belong in CI."""
    made = new_place.initialise(keys=2, threshold=1)
    assert [path.name for path in made.offline] == ["OFFLINE-root-1.pem", "OFFLINE-root-2.pem"]
    assert [path.name for path in made.online] == ["targets-1.pem", "snapshot-1.pem", "timestamp-1.pem"]
    assert made.root.read_bytes() == (new_place.tree / "download/trust/1.root.json").read_bytes()
    assert stat.S_IMODE(new_place.keys.stat().st_mode) == 0o700


def test_a_public_key_made_by_openssl_is_read(tmp_path: Path) -> None:
    """Holders of root keys may use tools of their own."""
    private, public = tmp_path / "own.pem", tmp_path / "own.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    private.chmod(0o600)
    assert load_public(public) == load_private(private).public_key


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ],
    ids=["empty", "text", "ecdsa"],
)
def test_what_is_no_public_key_is_named(tmp_path: Path, data: bytes) -> None:
    """Also a private key given by mistake is not accepted as a public one."""
    with pytest.raises(KeyFileError, match=r"x\.pub"):
        load_public(written(tmp_path / "x.pub", data))
