from __future__ import annotations

import socket
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.broadcast_input import Stream, Tuner
from ec_node import discover, hdhomerun, main
from ec_node.errors import InputError
from ec_node.hdhomerun import Device

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE = Device("10A1B2C3", "127.0.0.1", 2, "http://127.0.0.1:80", "http://127.0.0.1:80/lineup.json")


def test_a_request_is_the_one_that_tuners_know() -> None:
    """Byte for byte, as their own library sends it."""
    assert "0002000c0104000000010204ffffffff4e507f35" == hdhomerun.request().hex()


@given(
    st.builds(
        Device,
        device=st.from_regex(r"[0-9A-F]{8}", fullmatch=True),
        host=st.just("h"),
        tuners=st.integers(0, 255),
        base_url=st.text(st.characters(codec="ascii"), max_size=300),
        lineup_url=st.text(st.characters(codec="ascii"), max_size=40),
    )
)
def test_an_answer_is_understood(device: Device) -> None:
    """Also with values that are longer than a length of one byte can say."""
    assert device == hdhomerun.parse_reply(hdhomerun.reply(device), "h")


@given(st.binary(max_size=100), st.integers(0, 90), st.integers(1, 255))
def test_any_other_packet_is_no_answer(noise: bytes, at: int, flip: int) -> None:
    """Anybody on the network may send one."""
    packet = bytearray(hdhomerun.reply(ONE))
    packet[at % len(packet)] ^= flip

    assert hdhomerun.parse_reply(noise, "h") is None
    assert hdhomerun.parse_reply(bytes(packet), "h") is None
    assert hdhomerun.parse_reply(hdhomerun._framed(3, noise), "h") is None


@pytest.fixture
def tuner() -> Iterator[tuple[str, int]]:
    """Give the address of a tuner at loopback, which sends nonsense before it answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.bind(("127.0.0.1", 0))

        def answer() -> None:
            while (asked := endpoint.recvfrom(4096))[0] != b"end":
                endpoint.sendto(b"nonsense", asked[1])
                endpoint.sendto(hdhomerun.reply(ONE), asked[1])

        thread = Thread(target=answer)
        thread.start()
        yield endpoint.getsockname()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b"end", endpoint.getsockname())
        thread.join()


def test_a_tuner_on_the_network_is_found(tuner: tuple[str, int], capsys: pytest.CaptureFixture[str]) -> None:
    """By its id at once, and among all that answer."""
    assert [ONE] == discover.find("10a1b2c3", target=tuner, seconds=20)
    assert [ONE] == discover.find(target=tuner, seconds=0.3)
    assert 0 == main.run(["discover", "--target", tuner[0], "--port", str(tuner[1]), "--seconds", "0.3"])
    assert "10A1B2C3  127.0.0.1  2 tuners" in capsys.readouterr().out


def test_where_no_tuner_answers_it_is_said(tuner: tuple[str, int], capsys: pytest.CaptureFixture[str]) -> None:
    """With what to look at."""
    assert [] == discover.find("00000000", target=tuner, seconds=0.3)
    assert 3 == main.run(["discover", "--target", "127.0.0.1", "--port", "9", "--seconds", "0.2"])
    assert "ec-node: no tuner answers" in capsys.readouterr().err


def test_a_tuner_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the one line that an operator sees."""
    monkeypatch.setattr(discover, "find", lambda _: [])
    with pytest.raises(InputError, match="no tuner 10A1B2C3 answers"):
        discover.host_of(Tuner("4.1", device="10A1B2C3"))

    assert discover.host_of(Tuner("4.1", host="tuner")) is None
    assert discover.host_of(Stream("http://a/")) is None


@pytest.mark.parametrize("words", [["--target", "tuner.lan"], ["--seconds", "0"], ["--port", "70000"]])
def test_a_discovery_that_makes_no_sense_is_refused(words: list[str]) -> None:
    """Before anything is sent."""
    assert 2 == main.run(["discover", *words])
