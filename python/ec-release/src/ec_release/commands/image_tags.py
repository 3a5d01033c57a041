"""`ec-release image-tags`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ec_release import actions
from ec_release.commands.event import Event  # noqa: TC001 - cyclopts reads annotations at run time
from ec_release.output import emit


def image_tags(
    *, event: Event, json: Annotated[bool, Parameter(help="Print one JSON document.", negative=())] = False
) -> None:
    """Tell which tags the dashboard's image gets, or refuse: such an event publishes no image of that class.

    CI publishes git-<commit> and edge from the main branch; releases v1.2.3 and latest from a tag. A pre-release gets
    no moving tag. Later steps get the outputs image, fixed and moving.
    """
    tags = event.tags()
    actions.set_outputs({"image": tags.name, "fixed": tags.fixed, "moving": tags.moving or ""})
    emit({"image": tags.name, "fixed": tags.fixed, "moving": tags.moving or "none"}, as_json=json)
