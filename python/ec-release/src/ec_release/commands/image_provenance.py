"""`ec-release image-provenance`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - cyclopts reads annotations at run time
from typing import Annotated

from cyclopts import Parameter

from ec_release import actions
from ec_release.container import base, provenance
from ec_release.container.text import read, write
from ec_release.output import emit


def image_provenance(
    *,
    server: Annotated[str, Parameter(help="The forge (GITHUB_SERVER_URL).")],
    repository: Annotated[str, Parameter(help="Owner and name (GITHUB_REPOSITORY).")],
    ref: Annotated[str, Parameter(help="What the event happened to (GITHUB_REF).")],
    commit: Annotated[str, Parameter(help="The commit (GITHUB_SHA).")],
    run: Annotated[str, Parameter(help="The run's number (GITHUB_RUN_ID).")],
    attempt: Annotated[str, Parameter(help="Which attempt it is (GITHUB_RUN_ATTEMPT).")],
    dockerfile: Annotated[Path, Parameter(help="The image's Dockerfile.")],
    base_digest: Annotated[str, Parameter(help="The digest that its base had.")],
    output: Annotated[Path, Parameter(help="The file to write.")],
    json: Annotated[bool, Parameter(help="Print one JSON document.", negative=())] = False,
) -> None:
    """Write how the dashboard's image was built, as a SLSA provenance predicate that cosign signs with its digest.

    Later steps get the output identity: whom the certificate of the signature must name.
    """
    told = provenance.Run(server=server, repository=repository, ref=ref, commit=commit, run=run, attempt=attempt)
    name = base.name_in(read(dockerfile).decode(errors="replace"))
    write(output, provenance.predicate(told, base_name=name, base_digest=base_digest))
    actions.set_outputs({"identity": told.identity})
    emit({"predicate": str(output), "identity": told.identity}, as_json=json)
