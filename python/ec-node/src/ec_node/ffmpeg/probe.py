"""What an input holds, by ffprobe: asked before the first run, and by `ec-node check --input`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ec_closure.broadcast_input import Pattern
from ec_closure.decoding import excerpt
from ec_node.errors import InputError, ProgramError, UnsupportedError
from ec_node.ffmpeg import command, diagnose, process
from ec_node.ffmpeg.command import Chosen

if TYPE_CHECKING:
    from ec_closure.broadcast import Broadcast
    from ec_closure.broadcast_input import Input
    from ec_node.ffmpeg.command import Program

_MAX_OUTPUT = 1 << 20
_PATIENCE = 20
PASSED = {"video": frozenset({"h264", "hevc"}), "audio": frozenset({"aac", "ac3", "eac3", "mp3"})}
"""What players of HLS understand in fragmented MP4. MPEG-2 pictures, as they are broadcast, are not among it."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of an input, as ffprobe calls it."""

    codec_type: str = ""
    codec_name: str = ""
    width: int = 0
    height: int = 0
    avg_frame_rate: str = ""
    sample_rate: str = ""
    channels: int = 0

    @property
    def empty(self) -> bool:
        """Whether it is announced, and nothing of it has come: it has no size, or no sample rate."""
        return (self.codec_type == "video" and not (self.width and self.height)) or (
            self.codec_type == "audio" and self.sample_rate in ("", "0")
        )


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """What an input holds."""

    streams: tuple[Stream, ...] = ()

    def first(self, kind: str) -> Stream | None:
        """Return the first stream of a *kind*, `video` or `audio`, of which something has come."""
        place = self.place(kind)
        return None if place is None else self._of(kind)[place]

    def place(self, kind: str) -> int | None:
        """Return where that stream is among those of its kind, None when there is none."""
        return next((at for at, one in enumerate(self._of(kind)) if not one.empty), None)

    @property
    def silent(self) -> tuple[str, ...]:
        """The kinds that are announced, while nothing of them has come."""
        return tuple(kind for kind in PASSED if self._of(kind) and self.place(kind) is None)

    def chosen(self) -> Chosen:
        """Return what of it is published."""
        pictures, sound = self.first("video"), self.first("audio")
        return Chosen(
            self.place("video"),
            self.place("audio"),
            pictures.codec_name if pictures else "",
            sound.codec_name if sound else "",
        )

    def _of(self, kind: str) -> list[Stream]:
        return [one for one in self.streams if one.codec_type == kind]


PATTERN = Probed(
    streams=(
        Stream(codec_type="video", codec_name="rawvideo", width=1280, height=720),
        Stream(codec_type="audio", codec_name="pcm", sample_rate="48000"),
    )
)


async def probe(program: Program, broadcast: Broadcast, source: Input, where: str) -> Probed:
    """Return what is at the address *where*.

    Raises `InputError` when it does not answer, `UnsupportedError` when it cannot be published as *broadcast* says, and
    `ProgramError`.
    """
    if isinstance(source, Pattern):
        return PATTERN
    seconds = max(_PATIENCE, 2 * broadcast.stall)
    try:
        code, out, words = await process.output(
            command.probe(program, where, stall=broadcast.stall, number=broadcast.program),
            seconds=seconds,
            limit=_MAX_OUTPUT,
        )
    except TimeoutError:
        raise InputError(f"nothing came within {seconds} seconds", place=broadcast.input) from None
    if code:
        raise diagnose.ended(code, words, what=broadcast.input)
    try:
        found = msgspec.json.decode(out, type=Probed)
    except msgspec.DecodeError as error:
        raise ProgramError(
            f"ffprobe says what is not understood: {excerpt(str(error))}", place=program.ffprobe
        ) from None
    check(broadcast, found)
    return found


def check(broadcast: Broadcast, found: Probed) -> None:
    """Check that what was *found* can be published. Raises `UnsupportedError`."""
    kinds = {kind: found.first(kind) for kind in PASSED}
    if not any(kinds.values()):
        if broadcast.program is not None and not found.streams:
            raise UnsupportedError(
                f"the input has no program {broadcast.program}",
                place=broadcast.input,
                hint="remove program, and the first pictures and the first sound are published",
            )
        raise UnsupportedError("the input has neither pictures nor sound", place=broadcast.input)
    if not broadcast.passthrough:
        return
    for kind, stream in kinds.items():
        if stream is not None and stream.codec_name not in PASSED[kind]:
            raise UnsupportedError(
                f"players cannot play {excerpt(stream.codec_name, 40)} {kind}, which passthrough would publish",
                place=broadcast.input,
                hint=f"remove passthrough; what can be passed through as {kind}: {', '.join(sorted(PASSED[kind]))}",
            )
