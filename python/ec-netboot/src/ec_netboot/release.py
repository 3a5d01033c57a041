"""What is known about a staged release, and about what was staged when: `release.json` and `generation.json`."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec

from ec_closure.record import Count, Line, Record, Sha256, StorePathText

Platform = Literal["x86_64", "aarch64"]
PLATFORMS: tuple[Platform, ...] = get_args(Platform)
FileName = Literal["kernel", "initrd", "netboot.ipxe"]
MAX_BYTES = 64 << 10

DirectoryName = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}(\.[1-9][0-9]{0,3})?$(?!\n)")]


class ImageFile(Record, frozen=True, kw_only=True):
    """One file of an image. *size* in bytes."""

    sha256: Sha256
    size: Count


class Release(Record, frozen=True, kw_only=True, tag_field="schema", tag="ec-netboot.release.v1"):
    """A boot image as it was verified when it was staged.

    *source* says what vouches for it: signed metadata, or a digest that the operator gave. *version* is the release's
    counter, 0 for an archive of the operator's. *archive* is the SHA-256 of the archive, and this release's name in
    addresses. *arguments* is the kernel's command line from the image's own script. *toplevel* is the system that it
    boots; *manifest* the target that describes it, None where nothing does.
    """

    platform: Platform
    source: Literal["signed", "unsigned"]
    tag: Line
    version: Count
    asset: Line
    archive: Sha256
    files: dict[FileName, ImageFile]
    arguments: Annotated[str, msgspec.Meta(max_length=4096)]
    toplevel: StorePathText
    manifest: Line | None = None
    staged: Count


class Generation(Record, frozen=True, kw_only=True, tag_field="schema", tag="ec-netboot.generation.v1"):
    """One switch. *release* and *previous* are names of directories.

    *held* is the newest release version that the operator knew of when they chose by hand; only newer ones replace that
    choice on their own. 0: nothing is held.
    """

    number: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    release: DirectoryName
    previous: DirectoryName | None = None
    reason: Literal["staged", "chosen", "rolled-back"]
    held: Count = 0
    made: Count


class Standing(Record, frozen=True, kw_only=True, tag_field="schema", tag="ec-netboot.standing.v1"):
    """What signed metadata said about releases when they were last verified here, at *checked*."""

    latest: Count = 0
    min_version: Count = 0
    withdrawn: tuple[Count, ...] = ()
    checked: Count

    def excludes(self, version: int) -> str | None:
        """Return why release *version* must not be served, None where it may. Archives of the operator have none."""
        if not version:
            return None
        if version in self.withdrawn:
            return "was withdrawn"
        if version < self.min_version:
            return f"is older than {self.min_version}, the oldest acceptable release"
        return None
