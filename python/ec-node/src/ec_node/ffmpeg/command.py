"""The command lines of ffmpeg and ffprobe. Pure: the same broadcast, the same words.

What is encoded is a function of what is read: one thread, bit-exact code paths, a key frame every segment and nowhere
else, no dates. Two runs over the same input give the same bytes, with the same build of ffmpeg.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_closure.broadcast_input import Datagrams, File, Pattern, Stream, Tuner

if TYPE_CHECKING:
    from ec_closure.broadcast import Broadcast
    from ec_closure.broadcast_input import Input

TUNER_PORT = 5004
_TONE = "sine=frequency=440:sample_rate=48000:beep_factor=4"
_PROTOCOLS = "file,pipe,udp,rtp,tcp,tls,http,https,crypto"
_MICROSECONDS = 1_000_000
_UDP_BUFFER = 4 << 20
_OVERFLOW = "fifo_size=100000&overrun_nonfatal=1"


@dataclass(frozen=True)
class Program:
    """The names of the programs, found on the PATH or given by their paths."""

    ffmpeg: str = "ffmpeg"
    ffprobe: str = "ffprobe"


def address(source: Input, tuner_host: str | None = None) -> str:
    """Return what ffmpeg calls *source*; *tuner_host* is where a tuner that is named by its device was found."""
    match source:
        case Tuner():
            channel = source.channel if source.channel.startswith("ch") else f"v{source.channel}"
            return f"http://{source.host or tuner_host}:{TUNER_PORT}/auto/{channel}"
        case Stream():
            return source.url
        case Datagrams():
            host = f"[{source.host}]" if ":" in source.host else source.host
            return f"udp://{host}:{source.port}?{_OVERFLOW}&buffer_size={_UDP_BUFFER}"
        case File():
            return f"file:{source.path}"
        case Pattern():
            return f"testsrc2=size={source.width}x{source.height}:rate="


def probe(program: Program, where: str, *, stall: int) -> list[str]:
    """Return the command that says as JSON what is at the address *where*."""
    return [
        program.ffprobe,
        *("-hide_banner", "-loglevel", "error", "-print_format", "json"),
        *("-show_entries", "stream=index,codec_type,codec_name,width,height,avg_frame_rate,sample_rate,channels"),
        *_reading(where, stall),
        where,
    ]


def encode(
    program: Program,
    broadcast: Broadcast,
    source: Input,
    where: str,
    *,
    progress: int,
    pictures: bool = True,
    sound: str = "",
) -> list[str]:
    """Return the command that writes *broadcast* to standard output, and its progress to the descriptor *progress*.

    *pictures* says whether the input has any, *sound* what its codec is.
    """
    return [
        program.ffmpeg,
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"),
        *("-progress", f"pipe:{progress}", "-stats_period", "0.5"),
        *_inputs(broadcast, source, where),
        *_maps(broadcast, source),
        *(_copied(sound) if broadcast.passthrough else _encoded(broadcast)),
        *("-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact", "-max_muxing_queue_size", "4096"),
        *_container(broadcast, pictures=pictures),
        "pipe:1",
    ]


def _reading(where: str, stall: int) -> list[str]:
    words = ["-protocol_whitelist", _PROTOCOLS]
    if where.startswith(("http:", "https:")):
        words += ["-rw_timeout", str(stall * _MICROSECONDS), "-user_agent", "ec-node"]
    return words


def _inputs(broadcast: Broadcast, source: Input, where: str) -> list[str]:
    pace = ["-re"] if broadcast.real_time and isinstance(source, File | Pattern) else []
    if isinstance(source, Pattern):
        pictures = f"{where}{broadcast.video.frame_rate}"
        return [*pace, "-f", "lavfi", "-i", pictures, *pace, "-f", "lavfi", "-i", _TONE]
    again = ["-stream_loop", "-1"] if broadcast.loop else []
    # A damaged packet is the decoder's business; what it cannot mend it conceals.
    tolerant = ["-fflags", "+genpts+discardcorrupt", "-err_detect", "ignore_err"]
    return [*again, *pace, *tolerant, "-threads", "1", *_reading(where, broadcast.stall), "-i", where]


def _maps(broadcast: Broadcast, source: Input) -> list[str]:
    if isinstance(source, Pattern):
        return ["-map", "0:v:0", "-map", "1:a:0"]
    of = f"0:p:{broadcast.program}" if broadcast.program is not None else "0"
    return ["-map", f"{of}:v:0?", "-map", f"{of}:a:0?", "-sn", "-dn"]


def _copied(sound: str) -> list[str]:
    # A transport stream says with every frame of sound what MP4 says once.
    return ["-c", "copy", *(["-bsf:a", "aac_adtstoasc"] if sound == "aac" else [])]


def _encoded(broadcast: Broadcast) -> list[str]:
    video, audio = broadcast.video, broadcast.audio
    filters = ["yadif=deint=interlaced"] if video.deinterlace else []
    filters.append(f"fps={video.frame_rate}")
    if video.height is not None:
        filters.append(f"scale=-2:{video.height}:flags=bicubic+accurate_rnd+bitexact")
    filters.append("format=yuv420p")
    together = str(gop(broadcast))
    return [
        *("-filter_threads", "1", "-vf", ",".join(filters)),
        *("-c:v", "libx264", "-preset", video.preset, "-threads", "1", "-flags:v", "+bitexact+cgop"),
        *("-b:v", f"{video.bitrate}k", "-maxrate", f"{video.bitrate}k", "-bufsize", f"{2 * video.bitrate}k"),
        *("-g", together, "-keyint_min", together, "-sc_threshold", "0"),
        *("-af", "aresample=async=1:first_pts=0", "-c:a", "aac", "-flags:a", "+bitexact"),
        *("-b:a", f"{audio.bitrate}k", "-ac", str(audio.channels), "-ar", "48000"),
    ]


def gop(broadcast: Broadcast) -> int:
    """Return how many frames a segment has when it is encoded here."""
    return round(broadcast.video.rate * broadcast.hls.segment)


def _container(broadcast: Broadcast, *, pictures: bool) -> list[str]:
    flags = "+frag_keyframe+empty_moov+default_base_moof+skip_trailer+cmaf"
    words: list[str] = []
    if broadcast.passthrough:
        # What a copied stream needs in its head may only be known after its first packets.
        flags += "+delay_moov"
        words = ["-frag_duration", str(_MICROSECONDS)]
    elif not pictures:
        # There are no key frames to cut at.
        words = ["-frag_duration", str(broadcast.hls.segment * _MICROSECONDS)]
    return ["-movflags", flags, *words, "-f", "mp4"]
