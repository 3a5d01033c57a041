"""What a closure manifest says about an image, held against the image. Pure, but for reading one file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ec_netboot.errors import ImageError
from ec_netboot.staging.archive import INITRD, KERNEL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ec_closure.manifest import BootFile, Manifest
    from ec_netboot.release import FileName, ImageFile
    from ec_netboot.script import BootScript

_CHUNK = 1 << 20
_HINT = "archive and manifest were signed, but do not belong together: look at how the release was made"


def compare(
    manifest: Manifest,
    script: BootScript,
    files: Mapping[FileName, ImageFile],
    image: Path,
    *,
    asset: str,
    archive: str,
) -> None:
    """Raise `ImageError` unless the image in the directory *image* is of the system that *manifest* describes.

    The script boots its toplevel; the kernel is its kernel; the initrd begins with its initrd, to which a netboot image
    appends the store; an artifact of the same name as the archive, kernel or initrd is that very file. What the
    manifest does not mention is not compared.
    """
    if script.toplevel != manifest.system.out_path:
        raise ImageError(
            f"boots {script.toplevel}, and its manifest describes {manifest.system.out_path}", place=asset, hint=_HINT
        )
    boot = {file.name: file for file in manifest.boot}
    if KERNEL in boot and _differs(boot[KERNEL], files[KERNEL]):
        raise ImageError("its kernel is not that of the system", place=asset, hint=_HINT)
    if INITRD in boot and not _begins_with(image / INITRD, boot[INITRD]):
        raise ImageError("its initrd does not begin with that of the system", place=asset, hint=_HINT)
    for artifact in manifest.artifacts:
        if artifact.name == asset and artifact.sha256 != archive:
            raise ImageError("its manifest names another archive of this name", place=asset, hint=_HINT)
        for name in (KERNEL, INITRD):
            found = files[name]
            if artifact.name == name and (artifact.sha256, artifact.size) != (found.sha256, found.size):
                raise ImageError(f"its manifest names another {name}", place=asset, hint=_HINT)


def _differs(said: BootFile, found: ImageFile) -> bool:
    return (said.sha256, said.size) != (found.sha256, found.size)


def _begins_with(file: Path, said: BootFile) -> bool:
    digest = hashlib.sha256()
    left = said.size
    with file.open("rb") as stream:
        while left and (piece := stream.read(min(left, _CHUNK))):
            digest.update(piece)
            left -= len(piece)
    return not left and digest.hexdigest() == said.sha256
