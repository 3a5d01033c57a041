from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure import broadcast_input, toml_text
from ec_closure.broadcast import (
    Broadcast,
    BroadcastError,
    HlsTable,
    PushTable,
    VideoTable,
    check,
    check_together,
    decode,
    encode,
)
from ec_closure.broadcast_input import Datagrams, File, InputError, Pattern, Stream, Tuner
from ec_closure.errors import BadInputError, LimitError

SHOWN = "must-not-show"
MINIMAL = b'name = "channel-4"\ninput = "hdhomerun://10A1B2C3/4.1"\n'

INPUTS = {
    "hdhomerun://10a1b2c3/4.1": Tuner("4.1", device="10A1B2C3"),
    "hdhomerun://tuner.lan/35": Tuner("35", host="tuner.lan"),
    "hdhomerun://10.0.0.9/ch473000000-3": Tuner("ch473000000-3", host="10.0.0.9"),
    "hdhomerun://[fe80::1]/4.1": Tuner("4.1", host="[fe80::1]"),
    "http://tuner.lan:5004/auto/v4.1?x=1": Stream("http://tuner.lan:5004/auto/v4.1?x=1"),
    "https://example.org/live.ts": Stream("https://example.org/live.ts"),
    "udp://239.1.1.1:5000": Datagrams("239.1.1.1", 5000),
    "udp://@239.1.1.1:5000": Datagrams("239.1.1.1", 5000),
    "file:///srv/a%20film.ts": File("/srv/a film.ts"),
    "test:": Pattern(),
    "test:640x360": Pattern(640, 360),
}

REFUSED = [
    "",
    "4.1",
    "hdhomerun:10A1B2C3/4.1",
    "hdhomerun://10A1B2C3",
    "hdhomerun://10A1B2C3/",
    "hdhomerun://10A1B2C3/4.1/x",
    "hdhomerun://10A1B2C3/4.1?transcode=mobile",
    "hdhomerun://-x/4.1",
    "hdhomerun://a b/4.1",
    "http://",
    "http:///x",
    "http://user:secret@example.org/x",
    "http://user@example.org/x",
    "http://[::1/x",
    "http://example.org:99999/x",
    "http://example.org/a b",
    "udp://239.1.1.1",
    "udp://239.1.1.1:0",
    "udp://239.1.1.1:5000?fifo_size=1",
    "udp://239.1.1.1:5000/x",
    "file://relative.ts",
    "file:/srv/x.ts",
    "file:///a%0ab",
    "test:1280",
    "test:1281x720",
    "test:0x0",
    "test:99999x720",
    "rtmp://example.org/x",
    "pipe:0",
    "concat:a|b",
    "lavfi://testsrc",
]


def made(**changes: object) -> Broadcast:
    """Return a broadcast that differs from the smallest in *changes*."""
    return msgspec.structs.replace(decode(MINIMAL), **changes)


def test_the_smallest_broadcast_has_defaults() -> None:
    """A name and an input suffice."""
    found = decode(MINIMAL)

    assert (found.name, found.hls.segment, found.hls.window, found.video.rate) == ("channel-4", 2, 10, Fraction(30))
    assert not found.passthrough
    assert found.push is None


@pytest.mark.parametrize("text", INPUTS)
def test_an_input_is_understood(text: str) -> None:
    """Every form that is documented."""
    assert broadcast_input.parse(text) == INPUTS[text]


@pytest.mark.parametrize("text", REFUSED)
def test_another_input_is_refused_with_a_hint(text: str) -> None:
    """Nothing that ffmpeg would make something else of gets through."""
    with pytest.raises(InputError) as caught:
        broadcast_input.parse(text)

    assert caught.value.hint
    assert "secret" not in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_an_input_or_refused(text: str) -> None:
    """No other error comes out, and what is accepted has no option of ffmpeg's in it."""
    try:
        found = broadcast_input.parse(text)
    except InputError:
        return
    assert not str(getattr(found, "host", "")).startswith("-")


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"input": "nowhere"}, "x.input"),
        ({"loop": True}, "x.loop"),
        ({"real_time": False}, "x.real_time"),
        ({"input": "test:", "passthrough": True}, "x.passthrough"),
        ({"video": VideoTable(height=721)}, "x.video.height"),
        ({"push": PushTable(url="https://user:secret@example.org/")}, "x.push.url"),
        ({"push": PushTable(url="https://example.org/?a/")}, "x.push.url"),
        ({"push": PushTable(url="https://[::1/")}, "x.push.url"),
        ({"push": PushTable(url="https://example.org/", token=SHOWN, credential="c")}, "x.push"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, object], place: str) -> None:
    """With the key as the place, and no secret in the message."""
    with pytest.raises(BroadcastError) as caught:
        check(made(**changes), place="x")

    assert caught.value.place == place
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        b'name = "../x"\ninput = "test:"',
        b'name = "a\\n"\ninput = "test:"',
        b'name = "a"\ninput = "test:"\nextra = 1',
        b'name = "a"\ninput = "test:"\n[video]\nframe_rate = "29"\nbitrate = 0',
        b'name = "a"\ninput = "test:"\n[video]\nframe_rate = "0"',
        b'name = "a"\ninput = "test:"\n[push]\nurl = "https://example.org/x"',
        b'name = "a"\ninput = "test:"\n[push]\nurl = "https://example.org/"\ntoken = "a b"',
        b'name = "a"\ninput = "test:"\n[push]\nurl = "https://example.org/"\ncredential = "../key"',
        b'input = "test:"',
        b"\xff",
        b"[" * 5000,
    ],
)
def test_what_is_no_broadcast_is_refused(text: bytes) -> None:
    """Unknown keys, values out of range, names that leave their directory, no TOML."""
    with pytest.raises(BroadcastError):
        decode(text)


def test_a_file_without_end_is_refused() -> None:
    """Before it is parsed."""
    with pytest.raises(LimitError):
        decode(b"#" * 70_000)


def test_two_broadcasts_of_one_name_or_port_are_refused() -> None:
    """One would take the other's file or address."""
    check_together((made(), made(name="other")), place="broadcast")
    with pytest.raises(BroadcastError) as names:
        check_together((made(), made()), place="broadcast")
    with pytest.raises(BroadcastError) as ports:
        check_together((made(hls=HlsTable(port=8104)), made(name="b", hls=HlsTable(port=8104))), place="broadcast")

    assert names.value.place == "broadcast[1].name"
    assert ports.value.place == "broadcast[1].hls.port"


def test_a_secret_does_not_show() -> None:
    """A broadcast may stand in a log."""
    assert SHOWN not in repr(made(push=PushTable(url="https://example.org/", token=SHOWN)))


@given(
    st.builds(
        Broadcast,
        name=st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True),
        input=st.sampled_from([text for text, kind in INPUTS.items() if not isinstance(kind, Pattern)]),
        passthrough=st.booleans(),
        program=st.none() | st.integers(1, 65535),
        stall=st.integers(2, 600),
        video=st.builds(VideoTable, height=st.none() | st.just(720), frame_rate=st.sampled_from(["25", "30000/1001"])),
        hls=st.builds(HlsTable, port=st.none() | st.integers(1024, 65535)),
        push=st.none()
        | st.builds(
            PushTable,
            url=st.just("https://example.org/x/"),
            token=st.none() | st.from_regex(r"[!-~]{1,40}", fullmatch=True),
        ),
    )
)
def test_what_is_written_is_read_back(broadcast: Broadcast) -> None:
    """The file that a unit is given says what node.toml said."""
    assert decode(encode(broadcast)) == broadcast


def test_only_what_toml_has_is_rendered() -> None:
    """A value without a spelling is a mistake of ours."""
    with pytest.raises(TypeError):
        toml_text.render({"a": object()})


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b'name = "Channel 4"\ninput = "http://a/"', "b.toml: name"),
        (b'name = "a"\ninput = "a"', "b.toml: input"),
        (b'name = "a"\ninput = "http://a/"\n[hls]\nport = 80', "b.toml: hls.port"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: bytes, place: str) -> None:
    """Whoever reads it finds the key."""
    with pytest.raises(BroadcastError) as caught:
        decode(text, what="b.toml")

    assert place == caught.value.place


@given(st.binary(max_size=200))
def test_bytes_are_refused_with_an_error_of_ours(data: bytes) -> None:
    """Whatever they are."""
    with pytest.raises(BadInputError):
        decode(data)
