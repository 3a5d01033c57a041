"""`ec-release image-base`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - cyclopts reads annotations at run time
from typing import Annotated

from cyclopts import Parameter

from ec_release import actions
from ec_release.container import base
from ec_release.container.text import read
from ec_release.output import emit


def image_base(
    *,
    dockerfile: Annotated[Path, Parameter(help="The image's Dockerfile.")],
    descriptor: Annotated[
        Path,
        Parameter(
            help="What the registry says of the base: docker buildx imagetools inspect --format '{{json .Manifest}}'."
        ),
    ],
    inspected: Annotated[str, Parameter(help="The name that was asked for: the Dockerfile must stand on it.")],
    json: Annotated[bool, Parameter(help="Print one JSON document.", negative=())] = False,
) -> None:
    """Tell the digest that the Dockerfile's base has now, for its argument PYTHON_DIGEST.

    Every stage must stand on the one name that was asked for. Later steps get the outputs name and digest.
    """
    name = base.name_in(read(dockerfile).decode(errors="replace"))
    base.check_same(name, inspected)
    digest = base.digest_in(read(descriptor))
    actions.set_outputs({"name": name, "digest": digest})
    emit({"name": name, "digest": digest}, as_json=json)
