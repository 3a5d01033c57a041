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
_PROTOCOLS = {"http": "http,https,tcp,tls,crypto", "udp": "udp", "file": "file,crypto"}
"""What an input may lead to. A playlist that a stranger serves must not name files of this machine."""
_MICROSECONDS = 1_000_000
_UDP_BUFFER = 4 << 20
_OVERFLOW = "fifo_size=100000&overrun_nonfatal=1"
_INTERLEAVE = 2 * _MICROSECONDS
"""How far pictures may be ahead of sound before they are written without it: sound may stop, and pictures go on."""


@dataclass(frozen=True)
class Program:
    """The names of the programs, found on the PATH or given by their paths."""

    ffmpeg: str = "ffmpeg"
    ffprobe: str = "ffprobe"


@dataclass(frozen=True)
class Chosen:
    """Which *pictures* and which *sound* are published: their place among their kind, None for none.

    *format* is the codec of the pictures, *codec* that of the sound.
    """

    pictures: int | None = 0
    sound: int | None = 0
    format: str = ""
    codec: str = ""


EVERYTHING = Chosen()


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


def probe(program: Program, where: str, *, stall: int, number: int | None = None) -> list[str]:
    """Return the command that says as JSON what is at the address *where*, of its program *number* alone."""
    return [
        program.ffprobe,
        *("-hide_banner", "-loglevel", "error", "-print_format", "json"),
        *("-show_entries", "stream=index,codec_type,codec_name,width,height,avg_frame_rate,sample_rate,channels"),
        *(["-select_streams", f"p:{number}"] if number is not None else []),
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
    chosen: Chosen = EVERYTHING,
) -> list[str]:
    """Return the command that writes *broadcast* to standard output, and its progress to the descriptor *progress*."""
    return [
        program.ffmpeg,
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"),
        *("-progress", f"pipe:{progress}", "-stats_period", "0.5"),
        *_inputs(broadcast, source, where),
        *_maps(broadcast, source, chosen),
        *(_copied(chosen) if broadcast.passthrough else _encoded(broadcast)),
        *("-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact", "-max_muxing_queue_size", "4096"),
        *("-max_interleave_delta", str(_INTERLEAVE)),
        *_container(broadcast, pictures=chosen.pictures is not None),
        "pipe:1",
    ]


def _reading(where: str, stall: int) -> list[str]:
    kind = where.partition(":")[0]
    words = ["-protocol_whitelist", _PROTOCOLS["http" if kind == "https" else kind]]
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


def _maps(broadcast: Broadcast, source: Input, chosen: Chosen) -> list[str]:
    if isinstance(source, Pattern):
        return ["-map", "0:v:0", "-map", "1:a:0"]
    of = f"0:p:{broadcast.program}" if broadcast.program is not None else "0"
    kinds = (("v", chosen.pictures), ("a", chosen.sound))
    # None of them is optional: where no map fits, ffmpeg chooses by itself, also from another program.
    maps = [word for kind, place in kinds if place is not None for word in ("-map", f"{of}:{kind}:{place}")]
    return [*maps, "-sn", "-dn"]


def _copied(chosen: Chosen) -> list[str]:
    # Apple's players take HEVC by this name alone.
    tag = ["-tag:v", "hvc1"] if chosen.format == "hevc" else []
    # A transport stream says with every frame of sound what MP4 says once.
    return ["-c", "copy", *tag, *(["-bsf:a", "aac_adtstoasc"] if chosen.codec == "aac" else [])]


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
