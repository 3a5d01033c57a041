"""`ec-release clean`: remove the stores that `ec-release build --stores` left."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - cyclopts reads annotations at run time
from typing import Annotated

from cyclopts import Parameter


def clean(stores: Annotated[Path, Parameter(help="The directory that --stores named.")]) -> None:
    """Remove the stores of a build: also directories in them that not even their owner may write to.

    Nothing there is fine; what is no directory of stores is refused.
    """
    from ec_release.boot_images import room

    room.clean(stores)
