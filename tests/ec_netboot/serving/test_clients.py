"""Who is admitted: addresses in whatever form they come, and the token compared without telling about it."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import pytest

from ec_netboot.serving.clients import AllowList, ChainToken

if TYPE_CHECKING:
    from collections.abc import Sequence

NETWORKS = ("10.20.30.0/24", "fd00:1::/32", "fe80::/10", "192.0.2.7/32")


@pytest.mark.parametrize(
    "host",
    [
        "10.20.30.0",
        "10.20.30.255",
        "192.0.2.7",
        "fd00:1::1",
        "fd00:1:ffff::",
        "::ffff:10.20.30.4",
        "::ffff:0a14:1e04",
        "fe80::1%eth0",
        "fe80::1",
    ],
)
def test_who_is_on_the_list(host: str) -> None:
    """IPv4, IPv6, IPv4 that came over an IPv6 socket, and link-local peers with their interface."""
    assert AllowList(NETWORKS).admits(host)


@pytest.mark.parametrize(
    "host",
    [
        "10.20.31.0",
        "192.0.2.8",
        "fd00:2::1",
        "::ffff:10.20.31.4",
        "::10.20.30.4",
        "64:ff9b::10.20.30.4",
        "2001:db8::1",
        "",
        None,
        "localhost",
        "10.20.30.4:80",
        "0x0a141e04",
    ],
)
def test_who_is_not(host: str | None) -> None:
    """Also addresses that only look like one on the list, and peers without one."""
    assert not AllowList(NETWORKS).admits(host)


@pytest.mark.parametrize("networks", [["::ffff:0:0/96"], ["::/0"]])
def test_ipv6_networks_do_not_admit_ipv4(networks: Sequence[str]) -> None:
    """An IPv4 peer is judged as such, whatever socket it came by."""
    assert not AllowList(networks).admits("::ffff:10.20.30.4")


def test_an_empty_list_admits_all() -> None:
    """Said so in the configuration, and remarked on by `check`."""
    assert AllowList([]).admits("203.0.113.9")
    assert AllowList([]).admits(None)


@pytest.mark.parametrize("given", [None, "", "correct-horse-battery-", "correct-horse-battery-1x", "Correct", "\udcff"])
def test_a_wrong_token(given: str | None) -> None:
    """Missing, shorter, longer, or not even text."""
    assert not ChainToken("correct-horse-battery-1").admits(given)


def test_the_right_token() -> None:
    """And none is needed where none is set."""
    assert ChainToken("correct-horse-battery-1").admits("correct-horse-battery-1")
    assert ChainToken(None).admits(None)


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests of one length, by the function that is made for it."""
    seen: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        seen.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    token = ChainToken("correct-horse-battery-1")
    assert token.admits("correct-horse-battery-1")
    assert not token.admits("c")

    assert [(len(one), len(other)) for one, other in seen] == [(32, 32), (32, 32)]
