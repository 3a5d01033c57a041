"""The directory that fresh stores lie in."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ec_closure.errors import UsageError
from ec_release.boot_images.errors import IrreproducibleError

if TYPE_CHECKING:
    from collections.abc import Iterator


FIRST, SECOND = "first", "second"


@contextmanager
def room(wanted: Path | None) -> Iterator[Path]:
    """Yield an empty directory: *wanted*, which stays, or a temporary one, which is removed.

    A temporary one stays when the block ends in `IrreproducibleError`: people will want to look into it. Raises
    `UsageError` when *wanted* is not empty: what lies in a store there was not built now.
    """
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        if any(wanted.iterdir()):
            raise UsageError("is not empty", place=str(wanted), hint="remove it: stores must be fresh")
        yield wanted.resolve()
        return
    made = Path(tempfile.mkdtemp(prefix="ec-release-stores-")).resolve()
    try:
        yield made
    except IrreproducibleError:
        raise
    except BaseException:
        remove(made)
        raise
    remove(made)


def clean(directory: Path) -> None:
    """Remove the stores that a run left in *directory*. None there is fine.

    Raises `UsageError` when something else lies there: that is no directory of stores.
    """
    if not directory.is_dir():
        return
    other = sorted(entry.name for entry in directory.iterdir() if entry.name not in (FIRST, SECOND))
    if other:
        raise UsageError(f"holds {other[0]}", place=str(directory), hint="name the directory that --stores named")
    remove(directory)


def remove(directory: Path) -> None:
    """Remove *directory* and the stores in it: directories that not even their owner may write to. Raises `OSError`."""
    for name, _, _ in os.walk(directory):
        os.chmod(name, stat.S_IRWXU)  # noqa: PTH101 - os.walk hands over text
    shutil.rmtree(directory)
