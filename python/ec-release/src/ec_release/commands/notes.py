"""`ec-release notes`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ec_closure.errors import UsageError
from ec_release import actions
from ec_release.closure.source import check_merged, read_commit
from ec_release.container import notes as composing
from ec_release.container import version
from ec_release.container.text import read, write

_PROJECTS = ("pyproject.toml", "app/pyproject.toml", "python/*/pyproject.toml")


def notes(
    tag: Annotated[str, Parameter(help="The release: v1.2.3, or v1.2.3-rc.1.")],
    *,
    source: Annotated[Path, Parameter(help="The repository.")] = Path(),
    reference: Annotated[str | None, Parameter(help="The image that was published, by digest.")] = None,
    branch: Annotated[
        str | None, Parameter(help="Refuse the commit that is checked out unless this branch of origin holds it.")
    ] = None,
    output: Annotated[Path | None, Parameter(help="The file to write; default: standard output.")] = None,
) -> None:
    """Write the notes of a release: what the changelog says of it, and the image to install.

    Refuses when the changelog has no such section, or when any pyproject.toml has another version than the tag. Later
    steps get the output prerelease.
    """
    released = version.parse(tag)
    if branch is not None:
        check_merged(source, read_commit(source).rev, branch)
    files = sorted(file for pattern in _PROJECTS for file in source.glob(pattern))
    composing.check_versions(
        released, {str(file.relative_to(source)): read(file).decode(errors="replace") for file in files}
    )
    changes = composing.section(read(source / "CHANGELOG.md").decode(errors="replace"), released)
    if reference is not None and "@sha256:" not in reference:
        raise UsageError("an image is named by its digest", place=reference, hint="NAME@sha256:…")
    actions.set_outputs({"prerelease": "false" if released.is_final else "true"})
    text = composing.compose(changes, reference)
    if output is None:
        sys.stdout.write(text)
    else:
        write(output, text.encode())
