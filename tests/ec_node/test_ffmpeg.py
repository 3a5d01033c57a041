from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure import broadcast_input
from ec_closure.broadcast import Broadcast, HlsTable, VideoTable
from ec_node.errors import InputError, ProgramError, UnsupportedError
from ec_node.ffmpeg import command, diagnose
from ec_node.ffmpeg.command import Chosen, Program
from ec_node.ffmpeg.probe import Probed, Stream, check
from ec_node.ffmpeg.progress import Progress, ProgressReader

ONE = Broadcast(name="a", input="hdhomerun://10A1B2C3/4.1")


def words(broadcast: Broadcast, **more: object) -> str:
    """Return the command line for *broadcast* as one text."""
    source = broadcast_input.parse(broadcast.input)
    where = command.address(source, "192.0.2.7")
    return " ".join(command.encode(Program(), broadcast, source, where, progress=5, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("hdhomerun://10A1B2C3/4.1", "http://192.0.2.7:5004/auto/v4.1"),
        ("hdhomerun://tuner.lan/ch473000000-3", "http://tuner.lan:5004/auto/ch473000000-3"),
        ("https://example.org/a?b=c", "https://example.org/a?b=c"),
        ("file:///srv/a%20film.ts", "file:/srv/a film.ts"),
    ],
)
def test_an_input_has_an_address_that_ffmpeg_reads(text: str, address: str) -> None:
    """A tuner that is named by its device, where it was found."""
    assert address == command.address(broadcast_input.parse(text), "192.0.2.7")


def test_what_is_encoded_depends_on_the_input_alone() -> None:
    """One thread, exact code paths, and a key frame where each segment begins."""
    found = words(msgspec.structs.replace(ONE, video=VideoTable(frame_rate="30000/1001", height=720)))

    assert "-threads 1 -flags:v +bitexact+cgop" in found
    assert "-g 60 -keyint_min 60 -sc_threshold 0" in found
    assert "yadif=deint=interlaced,fps=30000/1001,scale=-2:720:flags=bicubic+accurate_rnd+bitexact" in found
    assert "-map_metadata -1" in found
    assert "-re " not in found


def test_what_is_passed_through_is_copied() -> None:
    """With the one filter that AAC in a transport stream needs."""
    found = words(msgspec.structs.replace(ONE, passthrough=True, program=3), chosen=Chosen(codec="aac"))

    assert "-map 0:p:3:v:0 -map 0:p:3:a:0 " in found
    assert "-c copy -bsf:a aac_adtstoasc" in found
    assert "delay_moov" in found
    assert "libx264" not in found
    assert "-tag:v hvc1" in words(msgspec.structs.replace(ONE, passthrough=True), chosen=Chosen(format="hevc"))
    assert "aac_adtstoasc" not in words(msgspec.structs.replace(ONE, passthrough=True), chosen=Chosen(codec="ac3"))


def test_what_an_input_does_not_have_is_not_asked_for() -> None:
    """Where no optional map fits, ffmpeg chooses by itself: another program than the one that was named."""
    found = words(msgspec.structs.replace(ONE, program=3), chosen=Chosen(pictures=None, sound=1))

    assert "-map 0:p:3:a:1 -sn" in found
    assert ":v:" not in found
    assert "?" not in found


@pytest.mark.parametrize("scheme", ["http", "https", "udp"])
def test_what_strangers_send_leads_to_no_file(scheme: str) -> None:
    """A playlist may name `file:///` where a segment should be."""
    where = f"{scheme}://192.0.2.7:5000"
    one = msgspec.structs.replace(ONE, input=where)
    for found in (words(one).split(), command.probe(Program(), where, stall=2)):
        allowed = found[found.index("-protocol_whitelist") + 1].split(",")
        assert scheme in allowed
        assert not {"file", "pipe", "concat", "subfile", "data"} & {*allowed}


def test_files_are_read_as_they_play() -> None:
    """Unless somebody wants them sooner."""
    film = msgspec.structs.replace(ONE, input="file:///a.ts", loop=True)

    assert "-stream_loop -1 -re " in words(film)
    assert "-re" not in words(msgspec.structs.replace(film, real_time=False)).split()
    assert "-frag_duration 2000000" in words(film, chosen=Chosen(pictures=None))


def test_segments_are_whole_numbers_of_frames() -> None:
    """At any rate and length."""
    for rate, segment, frames in (("25", 2, 50), ("24000/1001", 4, 96), ("60000/1001", 1, 60), ("1", 1, 1)):
        one = msgspec.structs.replace(ONE, video=VideoTable(frame_rate=rate), hls=HlsTable(segment=segment))
        assert frames == command.gop(one)


@pytest.mark.parametrize(
    ("code", "said", "kind", "message"),
    [
        (1, "http://1.2.3.4:5004/auto/v4.1: Connection refused", InputError, "the connection is refused"),
        (1, "[tcp @ 0x1] Failed to resolve hostname tuner: Name or service not known", InputError, "no such host"),
        (1, "http://t/auto/v9: Server returned 404 Not Found", InputError, "the server answered: 404 Not Found"),
        (1, "http://t/auto/v4.1: Server returned 5XX Server Error reply", InputError, "5XX Server Error reply"),
        (1, "/x.ts: No such file or directory", InputError, "there is no such file"),
        (1, "x: Invalid data found when processing input", InputError, "it is nothing that ffmpeg can read"),
        (
            1,
            "Decoder (codec atrac3al) not found for input stream #0:1",
            UnsupportedError,
            "there is no decoder for atrac3al",
        ),
        (1, "[mp4 @ 0x1] Could not find tag for codec pcm_s16le in stream #1", UnsupportedError, "pcm_s16le cannot be"),
        (1, "Unknown encoder 'libx264'", UnsupportedError, "no encoder libx264"),
        (1, "[a @ 0x1] something else\nConversion failed!", ProgramError, "ffmpeg ended with 1: something else"),
        (-9, "", ProgramError, "ended by signal 9"),
        (0, "", InputError, "the input ended"),
    ],
)
def test_the_last_words_of_ffmpeg_become_one_clear_line(code: int, said: str, kind: type, message: str) -> None:
    """By whose fault it is."""
    error = diagnose.ended(code, said.splitlines(), what="input")

    assert isinstance(error, kind)
    assert message in error.message
    assert "\n" not in str(error)


@given(st.integers(-64, 255), st.lists(st.text(max_size=200), max_size=30))
def test_any_last_words_become_one_printable_line(code: int, said: list[str]) -> None:
    """Names in a stream are chosen by strangers."""
    assert str(diagnose.ended(code, said, what="input")).isprintable()


def test_progress_is_read_however_it_arrives() -> None:
    """Also in the middle of a line, and with words of another version."""
    text = b"frame=10\nnew_word=1\nout_time_us=400000\nspeed=1.5x\nprogress=continue\nout_time_us=N/A\nprogress=end\n"
    expected = [Progress(400_000, 10, speed=1.5), Progress(ended=True)]
    one, whole = ProgressReader(), ProgressReader()

    assert expected == [report for at in range(len(text)) for report in one.feed(text[at : at + 1])]
    assert expected == whole.feed(text)


@given(st.binary(max_size=300))
def test_any_bytes_are_progress_or_passed_over(data: bytes) -> None:
    """Nothing is raised, and nothing is kept for ever."""
    reader = ProgressReader()
    reader.feed(data * 30)

    assert len(reader._rest) <= 4096


@pytest.mark.parametrize(
    ("codecs", "passthrough", "fine"),
    [
        (("mpeg2video", "ac3"), False, True),
        (("mpeg2video", "ac3"), True, False),
        (("h264", "ac3"), True, True),
        (("hevc", ""), True, True),
        (("h264", "pcm_s16le"), True, False),
        (("", "aac"), True, True),
        (("", ""), False, False),
    ],
)
def test_what_players_cannot_play_is_refused(codecs: tuple[str, str], *, passthrough: bool, fine: bool) -> None:
    """Before anything is published."""
    made = zip(("video", "audio"), codecs, strict=True)
    streams = [Stream(codec_type=a, codec_name=b, width=2, height=2, sample_rate="48000") for a, b in made]
    found = Probed(streams=tuple(one for one in streams if one.codec_name))
    one = msgspec.structs.replace(ONE, passthrough=passthrough)
    if fine:
        check(one, found)
        return
    with pytest.raises(UnsupportedError):
        check(one, found)


def test_what_is_announced_and_does_not_come_is_left_out() -> None:
    """Else ffmpeg waits for it, and writes nothing."""
    streams = [
        Stream(codec_type="video", codec_name="h264", width=640, height=360),
        Stream(codec_type="audio", codec_name="aac", sample_rate="0"),
    ]
    other = Stream(codec_type="audio", codec_name="ac3", sample_rate="48000")

    assert Probed(streams=tuple(streams)).chosen() == Chosen(0, None, "h264")
    assert Probed(streams=tuple(streams)).silent == ("audio",)
    assert Probed(streams=(*streams, other)).chosen() == Chosen(0, 1, "h264", "ac3")


def test_a_program_that_is_not_there_is_named() -> None:
    """Rather than another one published."""
    with pytest.raises(UnsupportedError, match="no program 9"):
        check(msgspec.structs.replace(ONE, program=9), Probed())
