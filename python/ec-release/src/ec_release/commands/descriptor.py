"""`ec-release descriptor`: what the job that built an image tells the job that pushes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def descriptor(
    *,
    name: str,
    output: Path = Path(),
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Write `image-BASE.env` for the flake's output BASE-image, once it is built.

    The file holds RUN_ATTR, what copies the image to a registry, and IMAGE_NAME, what it is called there. On a runner,
    its path and name become outputs of the step. That the output was built is not checked: the step before did that.

    Parameters
    ----------
    name
        The output, e.g. runner-dashboard-image.
    output
        The directory to write to; it is made if need be.
    json
        Print the result as JSON.
    """
    from ec_release import actions
    from ec_release.images.descriptor import Descriptor
    from ec_release.output import emit

    made = Descriptor(name)
    file = made.write(output)
    actions.set_outputs({"file": str(file), "image": made.base})
    emit({"file": file, "run_attr": made.run_attr, "image": made.base}, as_json=json)
