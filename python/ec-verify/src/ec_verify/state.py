"""The verifier's own state directory: its key, its counter, what it last said, what could not be sent.

Everything is written to a temporary file, synced and renamed: a run that is killed leaves the old
state or the new one. Links in the directory are not followed where a key or a lock is expected.
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from securesystemslib.signer import CryptoSigner

from ec_closure import files
from ec_verify.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MAX_KEY = 1 << 16
_ROOMS = ("reports", "spool")
"""Directories that only the run that holds the lock writes to."""
_MAX_COUNTER = 2**53


class State:
    """The directory *path*, made when needed. Methods raise `StateError` with what the system said."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def lock(self, *, wait: bool = False) -> Iterator[None]:
        """Hold the directory for one run, without what runs left half-written that were killed.

        With *wait*, until another run has ended, however long it takes; else raises `StateError` when one holds it.
        """
        with _held(self.path / "lock", fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB):
            for directory in (self.path, *(self.path / name for name in _ROOMS)):
                try:
                    files.sweep(directory)
                except OSError as error:
                    raise failed(error, directory) from error
            yield

    def key(self) -> CryptoSigner:
        """Return the node's Ed25519 key, made at first use; its file is readable by its owner alone.

        Of several first uses at one time, one makes the key and all return it.
        """
        return CryptoSigner(self._private_key())

    def has_key(self) -> bool:
        """Tell whether there is a key already, usable or not."""
        return os.path.lexists(self._key_file)

    @property
    def _key_file(self) -> Path:
        return self.path / "keys" / "node.pem"

    def derived_key(self, purpose: str) -> bytes:
        """Return 32 bytes that only who has the node's key can know, others for each *purpose* (HKDF, RFC 5869)."""
        secret = self._private_key().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        return HKDF(SHA256(), 32, salt=None, info=f"ec-verify {purpose}".encode()).derive(secret)

    def _private_key(self) -> Ed25519PrivateKey:
        file = self._key_file
        with _held(self.path / "keys.lock", fcntl.LOCK_EX):
            if not os.path.lexists(file):
                pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                write_file(file, pem)
        try:
            loaded = load_pem_private_key(_read_secret(file), password=None)
        except OSError as error:
            raise failed(error, file) from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise StateError(
                "is no PEM private key without a password", place=str(file), hint="restore it, or delete it"
            ) from error
        if not isinstance(loaded, Ed25519PrivateKey):
            raise StateError("is no Ed25519 key", place=str(file), hint="delete it; a new one is made")
        return loaded

    def counter(self) -> int:
        """Return the number of the last report, 0 before the first."""
        text = (self.read("counter") or b"0").strip()
        if not text.isdigit() or len(text) > len(str(_MAX_COUNTER)) or int(text) >= _MAX_COUNTER:
            raise StateError(
                "holds no number",
                place=str(self.path / "counter"),
                hint="write a number that is not smaller than the last report's counter",
            )
        return int(text)

    def next_counter(self) -> int:
        """Return a number that this node has not used before, and remember it. Hold the lock."""
        found = self.counter() + 1
        self.write("counter", b"%d\n" % found)
        return found

    def read(self, name: str, limit: int = -1) -> bytes | None:
        """Return the file *name*, *limit* bytes of it at most; None when it does not exist."""
        try:
            with (self.path / name).open("rb") as file:
                return file.read(limit)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise failed(error, self.path / name) from error

    def write(self, name: str, data: bytes) -> Path:
        """Write the file *name* (mode 0600) as a whole, and return its path."""
        return write_file(self.path / name, data)

    def remove(self, name: str) -> None:
        """Remove the file *name*, if it exists."""
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise failed(error, self.path / name) from error


@contextmanager
def _held(file: Path, how: int) -> Iterator[None]:
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise failed(error, file) from error
    try:
        _lock(descriptor, how, file)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, how: int, file: Path) -> None:
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError as error:
        raise StateError(
            "another run is under way", place=str(file.parent), hint="wait for it, or name another state_dir"
        ) from error
    except OSError as error:
        raise failed(error, file) from error


def _read_secret(file: Path) -> bytes:
    """Read a key that must be nobody else's: not a link, ours, and closed to everybody else."""
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise StateError(
                "others than its owner can use this key, or it is not ours",
                place=str(file),
                hint=f"if nobody else has read it: chown {os.geteuid()} and chmod 600; else delete it",
            )
        return opened.read(_MAX_KEY)


def write_file(path: Path, data: bytes, *, mode: int = 0o600) -> Path:
    """Write *path* as a whole: temporary file, fsync, rename. Raises `StateError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with files.replacing(path, mode=mode) as file:
            file.write(data)
    except OSError as error:
        raise failed(error, path) from error
    return path


def boot_id() -> str | None:
    """Return the kernel's identifier of this boot, None where the kernel does not tell."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return None


def failed(error: OSError, path: Path) -> StateError:
    """Return the error for a failed system call on the state file *path*."""
    # A file where a directory should be is named itself; temporary names would say nothing.
    in_the_way = isinstance(error, FileExistsError | NotADirectoryError) and error.filename
    return StateError(
        (error.strerror or str(error)).lower(),
        place=str(error.filename if in_the_way else path),
        hint="ec-verify needs directories that it can write, see state_dir and report in verify.toml",
    )
