"""`ec-release closure`: describe one system as a manifest."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ec_closure import files


def closure(
    *nix_arguments: Annotated[str, Parameter(allow_leading_hyphen=True)],
    flake: Path = Path(),
    attr: str,
    name: str,
    tag: str,
    version: int,
    output: Path | None = None,
    output_directory: Path | None = None,
    rev: str | None = None,
    issued: int | None = None,
    build: Annotated[bool, Parameter(negative=())] = False,
    store_root: Path = Path("/"),
    nix: str = "nix",
    option: Annotated[list[tuple[str, str]] | None, Parameter(negative=())] = None,
    trusted_public_key: Annotated[list[str] | None, Parameter(negative=())] = None,
    also: Annotated[list[str] | None, Parameter(negative=())] = None,
    artifact: Annotated[list[Path] | None, Parameter(negative=())] = None,
    artifacts: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Describe what is inside one system that this machine built, as a closure manifest.

    The checkout must be clean. Every path is hashed on the disk. Describing the same system again gives the same bytes.

    Parameters
    ----------
    nix_arguments
        After `--`: handed to `nix eval`, for trials.
    flake
        The top of the git checkout that holds the flake, or with --rev and --issued an export of it.
    attr
        The attribute to describe, e.g. nixosConfigurations.NAME.config.system.build.toplevel.
    name
        What the system is called in the release.
    tag
        The release's tag.
    version
        The release's number, which only ever grows.
    output
        The file to write, NAME.closure.json.zst; or give --output-directory.
    output_directory
        The directory to write NAME.closure.json.zst to. It is made when it is not there.
    rev
        The revision of an export without git.
    issued
        The commit time of an export without git, in seconds since 1970.
    build
        Build the system if it is not there.
    store_root
        The root of a chroot store, as for `nix --store`.
    nix
        The nix program; nix-store is taken from beside it.
    option
        NAME VALUE, handed on to Nix.
    trusted_public_key
        A cache's public key as name:base64. Paths with its signature are recorded as substituted from it.
    also
        A store path that the image holds beyond the system's closure.
    artifact
        A published file of the release.
    artifacts
        A directory: every file in it is a published file of the release that holds this system. It may be empty.
    json
        Print the result as JSON.
    """
    from ec_closure import manifest
    from ec_closure.errors import UsageError
    from ec_closure.signing import Keyring
    from ec_release.closure.describe import Machine, Wanted, describe
    from ec_release.closure.location import Location
    from ec_release.closure.source import Commit, read_commit
    from ec_release.commands.paths import files_in
    from ec_release.output import emit

    if (rev is None) != (issued is None):
        raise UsageError("--rev and --issued go together", hint="both describe an export; a git checkout needs neither")
    if (output is None) == (output_directory is None):
        raise UsageError("where to?", hint="give --output or --output-directory")
    directory = flake.resolve()
    commit = read_commit(directory) if rev is None or issued is None else Commit(rev, issued)
    described = describe(
        Wanted(
            flake=directory,
            attr=attr,
            name=name,
            tag=tag,
            version=version,
            also=tuple(also or ()),
            artifacts=(*(artifact or ()), *(() if artifacts is None else files_in(artifacts))),
        ),
        commit,
        Machine(
            location=Location(store_root.resolve()),
            keys=Keyring.parse(trusted_public_key or ()),
            program=nix,
            options=tuple(option or ()),
            arguments=nix_arguments,
        ),
        build=build,
    )
    file = output or _room_in(output_directory or Path(), f"{name}.closure.json.zst")
    _write(file, manifest.encode(described))
    emit(
        {
            "manifest": file,
            "system": described.system.out_path,
            "revision": described.source.rev,
            "paths": len(described.paths),
            "origins": dict(sorted(Counter(record.origin for record in described.paths).items())),
        },
        as_json=json,
    )


def _room_in(directory: Path, name: str) -> Path:
    from ec_closure.errors import UsageError

    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot be made: {error.strerror}", place=str(directory)) from error
    return directory / name


def _write(file: Path, data: bytes) -> None:
    """Put *data* at *file*, whole or not at all."""
    from ec_closure.errors import UsageError

    try:
        with files.replacing(file, mode=0o644) as stream:
            stream.write(data)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", place=str(file)) from error
