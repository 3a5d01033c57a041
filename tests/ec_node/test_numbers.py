"""Numbers that never go back, what is counted, and what systemd is told."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ec_node.metrics import Metrics
from ec_node.notify import Notifier
from ec_node.sequence import Sequence

if TYPE_CHECKING:
    from pathlib import Path


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 2500), st.floats(0, 2e9)), min_size=2, max_size=5))
def test_numbers_never_go_back(tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[int, float]]) -> None:
    """However many each run used, and whatever its clock said."""
    path = tmp_path_factory.mktemp("sequence") / "a"
    last, last_cut = -1, -1
    for used, wall in runs:
        numbers = Sequence(path)
        first, cuts = numbers.first(wall, 2)
        assert first > last
        assert cuts > last_cut
        for at in range(used):
            numbers.used(first + at, cuts + at // 7)
        last, last_cut = first + max(0, used - 1), cuts + used // 7


def test_numbers_of_discontinuities_stay_small(tmp_path: Path) -> None:
    """A player that keeps something for each of them, as hls.js does, must not stop to think."""
    for _ in range(1000):
        _, cuts = Sequence(tmp_path / "a").first(1_800_000_000, 2)

    assert cuts < 1_000_000


def test_a_node_without_a_disk_goes_by_the_clock(tmp_path: Path) -> None:
    """What is live is not published faster than time goes by."""
    (tmp_path / "in the way").write_text("")
    numbers = Sequence(tmp_path / "in the way" / "a")

    assert (500, 0) == numbers.first(1000.9, 2)


@pytest.mark.parametrize("text", ["", "x", "7", "-1 2", "9" * 30 + " 1", "1.5 1", "1 2 3"])
def test_a_file_that_holds_no_number_is_passed_over(tmp_path: Path, text: str) -> None:
    """The broadcast goes on."""
    (tmp_path / "a").write_text(text)

    assert (500, 0) == Sequence(tmp_path / "a").first(1000, 2)


def test_metrics_are_those_of_the_standard() -> None:
    """Counters end in `_total`, labels are escaped, and the end is marked."""
    metrics = Metrics('a"b')
    metrics.count("failures", cause="node.input")
    metrics.count("failures", 2, cause="node.input")
    metrics.gauge("media_sequence", 1_795_524_013)

    assert metrics.render().splitlines() == [
        "# TYPE ec_node_failures counter",
        "# HELP ec_node_failures Ends of ffmpeg that were not asked for, by cause.",
        'ec_node_failures_total{broadcast="a\\"b",cause="node.input"} 3',
        "# TYPE ec_node_media_sequence gauge",
        "# HELP ec_node_media_sequence Number of the next segment.",
        'ec_node_media_sequence{broadcast="a\\"b"} 1795524013',
        "# EOF",
    ]


def test_a_metric_that_nobody_knows_is_a_mistake() -> None:
    """A typing error would go unseen for ever."""
    metrics = Metrics("a")
    with pytest.raises(KeyError):
        metrics.count("segmnets")
    with pytest.raises(KeyError):
        metrics.gauge("segments", 1)
    with pytest.raises(KeyError):
        metrics.count("up")


def test_systemd_is_told(tmp_path: Path) -> None:
    """In the words of its protocol."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"})
        notifier.ready()
        notifier.alive()
        notifier.status("a\nb")
        notifier.reloading(12.5)
        notifier.stopping()
        told = [systemd.recv(200).decode() for _ in range(5)]

    assert ["READY=1", "WATCHDOG=1", "STATUS=a b", "RELOADING=1\nMONOTONIC_USEC=12500000", "STOPPING=1"] == told
    assert 30.0 == notifier.watchdog


def test_without_systemd_nothing_happens() -> None:
    """Nor when it has gone away, or spoke to another process."""
    for environment in ({}, {"NOTIFY_SOCKET": "/nowhere"}, {"NOTIFY_SOCKET": "relative"}, {"WATCHDOG_USEC": "x"}):
        Notifier(environment).ready()
        assert Notifier(environment).watchdog is None
    assert Notifier({"WATCHDOG_USEC": "1", "WATCHDOG_PID": str(os.getpid() + 1)}).watchdog is None


def test_abstract_sockets_are_known() -> None:
    """Containers use them."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0ec-node-test-{os.getpid()}")
        Notifier({"NOTIFY_SOCKET": f"@ec-node-test-{os.getpid()}"}).ready()
        assert b"READY=1" == systemd.recv(200)
