"""`ec-release publish`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - cyclopts reads annotations at run time
from typing import Annotated, Literal

from cyclopts import Parameter

from ec_release.attesting import check, seal
from ec_release.commands.options import Days, Repository
from ec_release.commands.paths import expanded
from ec_release.output import emit
from ec_release.publishing.plan import make
from ec_release.publishing.publish import publish as run
from ec_release.trust.published import load_root

_DEFAULTS = Days()


def publish(
    *,
    repository: Repository,
    tag: Annotated[str, Parameter(help="The release's tag; it names the directory of its assets.")],
    version: Annotated[int, Parameter(help="The release's version: a counter that only grows.", name="--version")],
    assets: Annotated[
        tuple[Path, ...],
        Parameter(help="Files to publish, or directories of them.", consume_multiple=True, negative=()),
    ] = (),
    closure: Annotated[
        tuple[Path, ...],
        Parameter(
            help="Manifests of this release (<system>.closure.json.zst), or directories.",
            consume_multiple=True,
            negative=(),
        ),
    ] = (),
    draft: Annotated[
        bool, Parameter(help="Leave the release a draft, for a person to look at; nothing is signed.", negative=())
    ] = False,
    prerelease: Annotated[bool, Parameter(help="Mark the release as a pre-release.", negative=())] = False,
    target: Annotated[
        str | None, Parameter(help="The commit that the tag names, or gets when there is none [the commit of the run].")
    ] = None,
    require: Annotated[
        tuple[Literal["sbom", "provenance", "signature"], ...],
        Parameter(help="Refuse a release that lacks this; without it, the result says so.", negative=()),
    ] = (),
    days: Days = _DEFAULTS,
) -> None:
    """Publish one release: upload, read back, show, and sign for it; the timestamp comes last.

    Run again, it continues where it was interrupted, or changes nothing. A tag keeps its bytes for ever. After --draft,
    the same command without it publishes and signs, also when somebody has published the draft by hand.
    """
    backend, signing = repository.backend(prerelease=prerelease, target=target), repository.signing(days)
    pinned = repository.pinned()
    newest = load_root(backend, pinned)[-1].signed
    plan = make(tag, version, expanded(assets), expanded(closure), seal.of_root(newest, signing.ring))
    check.required(require, plan.absent)
    outcome = run(backend, plan, signing, pinned, stop_at_draft=draft)
    emit(
        {
            "tag": tag,
            "version": version,
            "assets_published": outcome.assets_published,
            "metadata_published": outcome.metadata_published,
            "draft": outcome.draft,
            "metadata": outcome.versions,
            "absent": plan.absent,
            "assets": [
                {"name": asset.name, "sha256": asset.sha256, "length": asset.length} | (asset.custom or {})
                for asset in plan.assets.values()
            ],
        },
        as_json=repository.json,
    )
