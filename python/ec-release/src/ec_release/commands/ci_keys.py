"""`ec-release ci-keys`: CI's keys as one secret of the forge, and as files for one job."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - cyclopts reads annotations at run time
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ec_release.trust.roles import ONLINE, OnlineRole

if TYPE_CHECKING:
    from tuf.api.metadata import Root

_VARIABLE = "EC_RELEASE_KEYS"


def pack(
    output: Annotated[Path, Parameter(help="The file to write, of mode 600: the text of the secret.")],
    *,
    keys: Annotated[
        tuple[Path, ...], Parameter(help="A directory of private keys; may be given more than once.", negative=())
    ],
    root: Annotated[
        Path | None, Parameter(help="The root that says which key serves which role [root.json beside the keys].")
    ] = None,
    role: Annotated[
        tuple[OnlineRole, ...],
        Parameter(help="A role whose keys are packed; may be given more than once [all three].", negative=()),
    ] = ONLINE,
    json: Annotated[bool, Parameter(help="Print the result as JSON.", negative=())] = False,
) -> None:
    """Put CI's keys into one file, to be pasted into the forge as a secret and then destroyed.

    Keys of the root are refused. For the daily refresh, pack --role snapshot --role timestamp.
    """
    from ec_closure import files
    from ec_release.errors import KeyFileError
    from ec_release.output import emit
    from ec_release.trust import ci_keys
    from ec_release.trust.initialise import PINNED

    path = root or next((directory / PINNED for directory in keys if (directory / PINNED).exists()), None)
    if path is None:
        raise KeyFileError(f"no {PINNED} beside the keys", hint="name it with --root")
    packed = ci_keys.pack(keys, _read(path), role)
    with files.replacing(output, mode=0o600) as file:
        file.write(ci_keys.secret(packed).encode())
    emit({"secret": output, "keys": list(packed)}, as_json=json)


def write(
    directory: Annotated[Path, Parameter(help="The directory to make, of mode 700, with a file for each key.")],
    *,
    variable: Annotated[str, Parameter(help="The environment variable that holds the secret.")] = _VARIABLE,
    root: Annotated[
        Path | None, Parameter(help="The pinned root: keys that it gives other roles, or the root's, are refused.")
    ] = None,
    role: Annotated[
        tuple[OnlineRole, ...],
        Parameter(help="A role that this job signs for; may be given more than once [all three].", negative=()),
    ] = ONLINE,
    json: Annotated[bool, Parameter(help="Print the result as JSON.", negative=())] = False,
) -> None:
    """Write the keys of the secret to files that --keys takes. `ci-keys remove` ends what this begins."""
    import os

    from ec_release.output import emit
    from ec_release.trust import ci_keys

    names = ci_keys.write(os.environ.get(variable, ""), directory, None if root is None else _read(root), role)
    emit({"directory": directory, "keys": names}, as_json=json)


def remove(
    directory: Annotated[Path, Parameter(help="The directory that `ci-keys write` made.")],
    *,
    json: Annotated[bool, Parameter(help="Print the result as JSON.", negative=())] = False,
) -> None:
    """Remove the key files of a job, and their directory; nothing there is fine."""
    from ec_release.output import emit
    from ec_release.trust import ci_keys

    emit({"removed": ci_keys.remove(directory)}, as_json=json)


def _read(path: Path) -> Root:
    from ec_release.commands.options import read_root
    from ec_release.trust.published import parse

    root: Root = parse(read_root(path), "root", str(path)).signed
    return root
