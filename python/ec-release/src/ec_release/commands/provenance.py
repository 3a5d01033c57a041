"""`ec-release provenance`: how a release was built, signed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def provenance(
    *,
    tag: Annotated[str, Parameter(help="The release's tag.")],
    source: Annotated[Path, Parameter(help="The source that was built: its flake.lock is read.")] = Path(),
    keys: Annotated[tuple[Path, ...], Parameter(help="A directory with CI's private keys.", negative=())],
    out: Annotated[Path, Parameter(help="The file to write, provenance.intoto.json.")],
    assets: Annotated[
        tuple[Path, ...],
        Parameter(help="All files of the release, or directories of them.", consume_multiple=True, negative=()),
    ] = (),
    closure: Annotated[
        tuple[Path, ...],
        Parameter(help="All manifests of the release, or directories.", consume_multiple=True, negative=()),
    ] = (),
    root: Annotated[Path | None, Parameter(help="The root that says whose keys they are [beside the keys].")] = None,
    repository_url: Annotated[str | None, Parameter(help="Address of the public repository [CI's].")] = None,
    ref: Annotated[str | None, Parameter(help="What was built, refs/tags/TAG [CI's].")] = None,
    builder_id: Annotated[str | None, Parameter(help="URI of the builder [CI's workflow].")] = None,
    invocation_id: Annotated[str | None, Parameter(help="URI of the run [CI's run].")] = None,
    json: Annotated[bool, Parameter(help="Print the result as JSON.", negative=())] = False,
) -> None:
    """Say how the files of a release were built: in-toto statement, SLSA provenance v1, DSSE envelope.

    Signed by the keys of the targets role. Files are given as to `publish`, which takes this one with --assets.
    """
    import os
    from importlib.metadata import version

    from ec_closure.errors import UsageError
    from ec_release.attesting import ci_run, file, seal
    from ec_release.attesting import provenance as attestation
    from ec_release.closure import lock
    from ec_release.commands.options import pinned_root
    from ec_release.commands.paths import expanded
    from ec_release.output import emit
    from ec_release.publishing import plan
    from ec_release.trust.keys import load_ring
    from ec_release.trust.published import parse

    if out.name != attestation.NAME:
        raise UsageError(f"is called {attestation.NAME} in every release", place=str(out))
    closures = expanded(closure)
    described = [file.read_manifest(path) for path in closures]
    if not described:
        raise UsageError("no manifest says what was built", hint="give the manifests of the release with --closure")
    # A file of an earlier run may lie among the others; it is written anew.
    rest = [path for path in expanded(assets) if path.name != attestation.NAME]
    subjects = plan.make(tag, described[0].release.version, rest, closures).subjects()
    run = ci_run.of_environment(
        os.environ,
        {"repository": repository_url, "ref": ref, "builder_id": builder_id, "invocation": invocation_id},
        tool_version=version("ec-release"),
    )
    statement = attestation.make(run, described, lock.read(source / "flake.lock"), subjects)
    signing = seal.of_root(parse(pinned_root(root, keys), "root", "pinned root").signed, load_ring(keys))
    file.write(out, attestation.sign(statement, signing.signers))
    emit(
        {
            "provenance": out,
            "repository": run.repository,
            "ref": run.ref,
            "builder": run.builder_id,
            "invocation": run.invocation or "none",
            "subjects": len(statement.subject),
            "signed_by": [signer.public_key.keyid for signer in signing.signers],
        },
        as_json=json,
    )
