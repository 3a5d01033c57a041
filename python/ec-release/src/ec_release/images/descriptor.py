"""Descriptors: `image-<base>.env`, by which the job that built an image tells the job that pushes (ADR-002).

They arrive as artifacts, which every job of the run may write, also one that runs a stranger's code. So nothing in
them is interpreted: a descriptor is accepted if it is byte for byte the one that its file name stands for, and all that
it can say is the name of an image. What may be pushed is asked of the flake.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_closure import files
from ec_closure.decoding import excerpt
from ec_closure.errors import EcError, LimitError, UsageError
from ec_release.images import names
from ec_release.images.errors import DescriptorError, NamingError

if TYPE_CHECKING:
    from pathlib import Path

_FILE = re.compile(r"image-(?P<base>[a-z0-9._-]{1,128})\.env")
_MAX_BYTES = 1024
_MAX_FILES = 256


@dataclass(frozen=True)
class Descriptor:
    """An image that was built. *name* is the flake's output, *base* what the image is called. Raises `NamingError`."""

    name: str

    def __post_init__(self) -> None:
        names.base(self.name)

    @property
    def base(self) -> str:
        """What the image is called in a registry."""
        return names.base(self.name)

    @property
    def run_attr(self) -> str:
        """What copies the image, as a fragment of the flake's address: `#<name>.passthru.copyTo`."""
        return f"#{names.attribute(self.name)}.passthru.copyTo"

    @property
    def file_name(self) -> str:
        """What the descriptor's file is called."""
        return f"image-{self.base}.env"

    def encode(self) -> bytes:
        """Return the file's content: two lines, always the same."""
        return f"RUN_ATTR={self.run_attr}\nIMAGE_NAME={self.base}\n".encode()

    def write(self, directory: Path) -> Path:
        """Write it into *directory*, which is made if need be, whole or not at all. Raises `UsageError`."""
        file = directory / self.file_name
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with files.replacing(file, mode=0o644) as stream:
                stream.write(self.encode())
        except OSError as error:
            raise UsageError(f"cannot be written: {error.strerror}", place=str(file)) from error
        return file


def parse(file_name: str, data: bytes) -> Descriptor:
    """Return the descriptor that *data*, from a file of that name, is. Raises `DescriptorError`."""
    place = excerpt(file_name, 80)
    match = _FILE.fullmatch(file_name)
    if match is None:
        raise DescriptorError("is not called image-NAME.env", place=place)
    try:
        found = Descriptor(match["base"] + names.SUFFIX)
    except NamingError as error:
        raise DescriptorError(error.message, place=place, hint=error.hint) from error
    if data != found.encode():
        raise DescriptorError(
            "does not hold what its name stands for",
            place=place,
            hint=f"exactly RUN_ATTR={found.run_attr} and IMAGE_NAME={found.base}, each on a line",
        )
    return found


def read_directory(directory: Path) -> tuple[list[Descriptor], list[EcError]]:
    """Return the descriptors in *directory*, by name, and what is wrong with the other files there.

    Raises `UsageError` when it cannot be read, `LimitError` when it holds too many files.
    """
    try:
        entries = sorted(directory.iterdir())
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", place=str(directory)) from error
    if len(entries) > _MAX_FILES:
        raise LimitError(f"holds more than {_MAX_FILES} files", place=str(directory))
    found: list[Descriptor] = []
    wrong: list[EcError] = []
    for entry in entries:
        try:
            found.append(parse(entry.name, _read(entry)))
        except DescriptorError as error:
            wrong.append(error)
    return found, wrong


def _read(file: Path) -> bytes:
    place = excerpt(file.name, 80)
    try:
        with files.open_regular(file) as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise DescriptorError(f"is no file that can be read: {error.strerror}", place=place) from error
    if len(data) > _MAX_BYTES:
        raise DescriptorError(f"is larger than {_MAX_BYTES} bytes", place=place)
    return data
