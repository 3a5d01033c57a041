"""`ec-provision check`: is a node.toml valid."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from ec_closure import node_config
from ec_closure.decoding import excerpt
from ec_closure.errors import BadInputError
from ec_closure.files import open_regular
from ec_closure.node_config import MAX_BYTES
from ec_provision import lines
from ec_provision.commands.words import contents
from ec_provision.errors import SourceFileError


def check(file: Path, /) -> int:
    """Check a node.toml before it is copied to a node. Nothing else is read, and nothing is asked.

    Prints what it would do, the fingerprints of its keys, and its digest: the one that the node's reports will hold.

    Parameters
    ----------
    file: Path
        The node.toml.
    """
    shown = excerpt(str(file))
    data = _read(file, shown)
    try:
        config = node_config.decode(data, what=shown)
    except BadInputError as error:
        raise lines.located(error, data, shown) from None
    digest = hashlib.sha256(data).hexdigest()
    told = node_config.applied(config, source="file", digest=digest)
    sys.stdout.write(f"{shown} is valid: {contents(told)}\n")
    for key in config.parsed_keys():
        sys.stdout.write(f"  may log in: {key.fingerprint} {key.comment}".rstrip() + "\n")
    if not config.ssh_keys:
        sys.stdout.write("  nobody may log in by this file\n")
    sys.stdout.write(f"  sha256: {digest}\n")
    return 0


def _read(file: Path, shown: str) -> bytes:
    try:
        with open_regular(file.resolve()) as opened:
            return opened.read(MAX_BYTES + 1)
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceFileError(f"cannot be read: {reason}", place=shown, hint="check the path") from error
