"""`ec-release image-promote`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ec_closure.errors import UsageError
from ec_release import actions
from ec_release.closure.source import later_commits
from ec_release.commands.event import Event  # noqa: TC001 - cyclopts reads annotations at run time
from ec_release.container import tags as naming
from ec_release.container.promote import promote
from ec_release.container.registry import Repository
from ec_release.output import emit


def image_promote(
    *,
    event: Event,
    digest: Annotated[str, Parameter(help="The image that was scanned, signed and verified.")],
    auth_file: Annotated[
        Path | None, Parameter(help="Credentials as `docker login` writes them; default: the user's own.")
    ] = None,
    source: Annotated[
        Path, Parameter(help="The checkout that it was built from; of the main branch, with its whole history.")
    ] = Path(),
    json: Annotated[bool, Parameter(help="Print one JSON document.", negative=())] = False,
) -> None:
    """Move the tags of an event to an image, by its digest: the last step of publishing it.

    A release's tag never moves, latest never goes back to a lower release, nor edge to an earlier commit. Done again,
    it changes nothing. The run's page gets the one text by which the image is installed; later steps get it as the
    output reference.
    """
    tags = event.tags()
    later = later_commits(source, event.commit, naming.MAIN) if tags.moving == naming.EDGE else frozenset()
    if later is None:
        raise UsageError(
            f"the checkout does not tell what came after {event.commit}, so {tags.moving} could go back",
            place=str(source),
            hint=f"actions/checkout with `fetch-depth: 0`, of a commit of {naming.MAIN}",
        )
    done = promote(Repository(tags.name, auth_file), digest, tags, later)
    actions.set_outputs({"reference": done.reference})
    actions.add_summary(
        f"### Image of the dashboard\n\nInstalled by its digest:\n\n```text\n{done.reference}\n```\n\n"
        f"Tags that name it now: {', '.join(f'`{tag}`' for tag in done.tags)}\n\n"
    )
    emit(
        {"reference": done.reference, "tags": list(done.tags), "stayed": done.stayed or "none"},
        as_json=json,
    )
