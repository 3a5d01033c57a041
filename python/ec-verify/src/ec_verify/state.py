"""The verifier's own state directory: its key, its counter, what it last said, what could not be sent.

Everything is written to a temporary file, synced and renamed: a run that is killed leaves the old
state or the new one.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from securesystemslib.signer import CryptoSigner

from ec_verify.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class State:
    """The directory *path*, made when needed. Methods raise `StateError` with what the system said."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for one run. Raises `StateError` when another run holds it."""
        self._directory(self.path)
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _failed(error, self.path / "lock") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise StateError(
                "another run is under way", place=str(self.path), hint="wait for it, or name another state_dir"
            ) from error
        finally:
            os.close(descriptor)

    def key(self) -> CryptoSigner:
        """Return the node's Ed25519 key, made at first use; its file is readable by its owner alone."""
        file = self.path / "keys" / "node.pem"
        if not file.exists():
            pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            self.write("keys/node.pem", pem)
        try:
            loaded = load_pem_private_key(file.read_bytes(), password=None)
        except OSError as error:
            raise _failed(error, file) from error
        except ValueError as error:
            raise StateError("is no PEM private key", place=str(file), hint="restore it, or delete it") from error
        if not isinstance(loaded, Ed25519PrivateKey):
            raise StateError("is no Ed25519 key", place=str(file), hint="delete it; a new one is made")
        return CryptoSigner(loaded)

    def next_counter(self) -> int:
        """Return a number that this node has not used before, and remember it."""
        file = self.path / "counter"
        try:
            last = int(file.read_text()) if file.exists() else 0
        except (OSError, ValueError) as error:
            raise StateError(
                "holds no number", place=str(file), hint="write a number larger than the last report's counter"
            ) from error
        self.write("counter", f"{last + 1}\n".encode())
        return last + 1

    def read(self, name: str) -> bytes | None:
        """Return the file *name*, None when it does not exist."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failed(error, self.path / name) from error

    def write(self, name: str, data: bytes) -> Path:
        """Write the file *name* (mode 0600) as a whole, and return its path."""
        return write_file(self.path / name, data)

    def _directory(self, path: Path) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise _failed(error, path) from error


def write_file(path: Path, data: bytes, *, mode: int = 0o600) -> Path:
    """Write *path* as a whole: temporary file, fsync, rename. Raises `StateError`."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise _failed(error, path) from error
    return path


def boot_id() -> str | None:
    """Return the kernel's identifier of this boot, None where the kernel does not tell."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return None


def _failed(error: OSError, path: Path) -> StateError:
    return StateError(
        f"{error.strerror}", place=str(path), hint="ec-verify needs a state_dir that it can write, see verify.toml"
    )
