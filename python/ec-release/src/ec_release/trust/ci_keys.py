"""The keys of CI as one secret of a forge: packed by a person, written to files for one job, and removed.

The secret is text: private keys in PEM, each below a line with its file's name (which PEM allows). Keys of the root are
never part of it.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from securesystemslib.signer import CryptoSigner

from ec_closure import files
from ec_release.errors import KeyFileError, RootKeyError
from ec_release.trust.keys import load_ring, parse_private

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from tuf.api.metadata import Root

    from ec_release.trust.roles import Role

_MAX_SECRET = 48 << 10  # what forges take
_MAX_KEYS = 16
_OFFLINE = "OFFLINE-"
_BLOCK = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.pem)\s+"
    r"(?P<pem>-----BEGIN PRIVATE KEY-----\s[A-Za-z0-9+/=\s]{1,1000}-----END PRIVATE KEY-----)\s*"
)


def pack(directories: Collection[Path], root: Root, roles: Collection[Role]) -> dict[str, bytes]:
    """Return the key files in *directories* that serve one of *roles* by *root*, by name.

    Raises `KeyFileError` when a role of these has none, `RootKeyError` when one of them serves the root as well.
    """
    ring = load_ring(directories)
    wanted = {keyid for role in roles for keyid in root.roles[role].keyids}
    missing = [role for role in roles if not set(root.roles[role].keyids) & ring.signers.keys()]
    if missing:
        raise KeyFileError(f"no key of the {missing[0]} role", hint="name the directory of CI's keys with --keys")
    found: dict[str, bytes] = {}
    for keyid in sorted(wanted & ring.signers.keys(), key=lambda one: ring.files[one].name):
        file = ring.files[keyid]
        _refuse_root(file.name, keyid, root)
        if file.name in found:
            raise KeyFileError("two keys have this name", place=file.name, hint="rename one of the files")
        found[file.name] = file.read_bytes().strip()
    return found


def secret(keys: dict[str, bytes]) -> str:
    """Return *keys*, PEM by file name, as the text of a forge's secret."""
    return "".join(f"{name}\n{pem.decode('ascii')}\n" for name, pem in keys.items())


def write(text: str, directory: Path, root: Root | None, roles: Collection[Role]) -> list[str]:
    """Write the keys that the secret *text* holds as files of mode 600 to the new *directory*; return their names.

    A directory that an earlier run of the same user left is emptied. Raises `KeyFileError` (malformed; a directory of
    somebody else's), `RootKeyError` (a key of the root, or of another role than *roles* by *root*). Not checked: roles
    of keys that *root* does not know, which a newer root may have.
    """
    keys = _read(text)
    for name, pem in keys.items():
        keyid = CryptoSigner(parse_private(pem, name)).public_key.keyid
        if root is not None:
            _refuse_root(name, keyid, root)
            other = [role for role, known in root.roles.items() if keyid in known.keyids and role not in roles]
            if other:
                raise RootKeyError(
                    f"signs as {other[0]}", place=name, hint=f"pack the keys of {', '.join(roles)} alone for this job"
                )
    _make_own(directory)
    for name, pem in keys.items():
        descriptor = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem + b"\n")
    return sorted(keys)


def remove(directory: Path) -> list[str]:
    """Remove the key files in *directory*, and *directory*; return their names. None there is fine.

    Raises `KeyFileError` when something stays.
    """
    try:
        names = sorted(path.name for path in directory.iterdir() if path.suffix == ".pem")
        for name in names:
            (directory / name).unlink()
        directory.rmdir()
        files.sync_directory(directory.parent)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise KeyFileError(f"cannot be removed: {error.strerror}", place=str(directory)) from error
    return names


def _read(text: str) -> dict[str, bytes]:
    if len(text) > _MAX_SECRET:
        raise KeyFileError(f"the secret has more than {_MAX_SECRET} characters")
    rest = text.strip()
    if not rest:
        raise KeyFileError("the secret is empty", hint="`ec-release ci-keys pack` makes it; does this run get secrets?")
    keys: dict[str, bytes] = {}
    at = 0
    while at < len(rest):
        block = _BLOCK.match(rest, at)
        # What is malformed is not quoted: it may be a key.
        if block is None or block["name"] in keys or len(keys) == _MAX_KEYS:
            raise KeyFileError(
                f"the secret is malformed after {len(keys)} keys", hint="`ec-release ci-keys pack` makes it"
            )
        if block["name"].startswith(_OFFLINE):
            raise RootKeyError("must never be in CI", place=block["name"], hint="rotate this key: others have seen it")
        keys[block["name"]] = block["pem"].encode()
        at = block.end()
    return keys


def _refuse_root(name: str, keyid: str, root: Root) -> None:
    if keyid in root.roles["root"].keyids:
        raise RootKeyError("is a key of the root, which must never be in CI", place=name, hint="keep it offline")


def _make_own(directory: Path) -> None:
    """Make *directory* for its owner alone. On some runners the temporary directory is that of the whole machine."""
    try:
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:
            found = directory.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
                raise KeyFileError("is there, and is not ours alone", place=str(directory)) from None
            for path in directory.iterdir():
                path.unlink()
    except OSError as error:
        raise KeyFileError(f"cannot be made: {error.strerror}", place=str(directory)) from error
