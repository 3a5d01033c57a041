"""`ec-release build`: build one boot image twice, compare, and pack it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def build(
    name: str,
    *nix_arguments: Annotated[str, Parameter(allow_leading_hyphen=True)],
    tag: Annotated[str, Parameter(negative=())] = "",
    flake: Path = Path(),
    targets: Path | None = None,
    output: Path = Path("dist"),
    stores: Path | None = None,
    differences: Path | None = None,
    nix: str = "nix",
    option: Annotated[list[tuple[str, str]] | None, Parameter(negative=())] = None,
    logs: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Build one target in two fresh stores, compare byte by byte, and pack the file that is published.

    Inputs may come from caches; the target, and what the file of targets names under `rebuild`, is built in both.
    Exit 1 when the builds differ: both stay, with the first file and offset told. Needs what Nix's sandbox needs.

    Parameters
    ----------
    name
        The target, as the file of targets calls it.
    nix_arguments
        After `--`: handed to `nix eval`, e.g. -- --override-input nixpkgs PATH. For trials: a release needs none.
    tag
        The release's tag, boot-v…; the commit's time when not given. It becomes part of the file's name.
    flake
        The top of the git checkout that holds the flake. It must be clean.
    targets
        The file of targets [.forgejo/boot-images.toml of the flake].
    output
        The directory to write the published file to; it is empty afterwards for a system without an image.
    stores
        An empty or new directory for the stores, which stay there: `first` is what `closure --store-root` describes. A
        temporary one when not given.
    differences
        A directory to copy files that differ to, as first/FILE and second/FILE.
    nix
        The nix program; nix-store is taken from beside it.
    option
        NAME VALUE, handed on to Nix.
    logs
        Show what builders print.
    json
        Print the result as JSON.
    """
    from ec_release.boot_images import release
    from ec_release.boot_images import targets as listed
    from ec_release.boot_images.build import Order, complaint, keep_differences
    from ec_release.boot_images.build import build as run
    from ec_release.boot_images.room import FIRST, room
    from ec_release.boot_images.store import Builder
    from ec_release.closure.source import read_commit
    from ec_release.output import emit

    directory = flake.resolve()
    commit = read_commit(directory)
    known = listed.read(targets or directory / listed.DEFAULT_FILE)
    order = Order(name, listed.named(known, name), known.rebuild, release.of(commit, wanted=tag))
    builder = Builder(nix, tuple(option or ()), tuple(nix_arguments), with_builders=logs)
    with room(stores) as place:
        outcome = run(order, directory, commit, builder, stores=place, output=output)
        emit(
            {
                "target": name,
                "identical": outcome.identical,
                "file": outcome.packed.file.name if outcome.packed else "",
                "sha256": outcome.packed.sha256 if outcome.packed else "",
                "size": outcome.packed.size if outcome.packed else 0,
                "result": outcome.first.evaluated.out_path,
                "derivation": outcome.first.evaluated.drv_path,
                "store": place / FIRST,
                "derivations_built_twice": len(outcome.first.division.built),
                "differing_files": [
                    {"file": one.file, "offset": one.offset, "first": one.places[0], "second": one.places[1]}
                    for one in outcome.files
                ],
                "differing_paths": [
                    {"path": one.path, "derivation": one.derivation, "cause": one.cause} for one in outcome.paths
                ],
            },
            as_json=json,
        )
        if not outcome.identical:
            if differences is not None:
                keep_differences(outcome, differences)
            raise complaint(order, outcome)
