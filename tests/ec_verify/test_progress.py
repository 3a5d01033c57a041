"""Progress and logs: on standard error, in a form that suits who reads it."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest
import structlog

from ec_verify import logs, progress
from ec_verify.progress import Bars, Plain, Silent, choose

if TYPE_CHECKING:
    from ec_verify.progress import Progress


class Terminal(io.StringIO):
    """A stream on which somebody watches."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.mark.parametrize(
    ("stream", "quiet", "kind"),
    [
        (io.StringIO(), False, Plain),
        (io.StringIO(), True, Silent),
        (Terminal(), False, Bars),
        (Terminal(), True, Silent),
    ],
)
def test_what_is_drawn_suits_the_stream(
    monkeypatch: pytest.MonkeyPatch,
    stream: io.StringIO,
    quiet: bool,  # noqa: FBT001 - a table
    kind: type[Progress],
) -> None:
    """Bars for people, lines for logs, silence on request."""
    monkeypatch.setattr(sys, "stderr", stream)

    assert kind is type(choose(quiet=quiet))


@pytest.mark.parametrize("made", [Silent(), Plain(io.StringIO()), Bars()])
def test_every_kind_takes_every_step(made: Progress, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes or pieces; with a note that holds markup and escape sequences."""
    for unit in ("bytes", ""):
        with made.stage("hashing", unit=unit) as stage:
            stage.total(10)
            stage.advance()
            stage.advance(4)
            stage.note("[bold]hello[/nonsense]\x1b]0;x\x07")

    assert "\x1b]" not in capsys.readouterr().err


def test_plain_progress_is_a_line_a_stage() -> None:
    """Nothing that a log could not hold."""
    stream = io.StringIO()

    with Plain(stream).stage("trust: metadata and manifest"):
        assert "trust: metadata and manifest\n" == stream.getvalue()


def test_an_error_inside_a_stage_passes_through() -> None:
    """Drawing hides nothing."""
    for made in (Silent(), Plain(io.StringIO()), Bars()):
        with pytest.raises(ValueError, match="inside"), made.stage("x"):
            raise ValueError("inside")


class TestLogs:
    """What is logged."""

    @pytest.mark.parametrize(
        ("loudness", "levels"),
        [
            ("quiet", ["warning", "error"]),
            ("normal", ["info", "warning", "error"]),
            ("verbose", ["debug", "info", "warning", "error"]),
        ],
    )
    def test_loudness_is_what_was_asked_for(
        self, monkeypatch: pytest.MonkeyPatch, loudness: str, levels: list[str]
    ) -> None:
        """One JSON object a line where nobody watches."""
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        logs.configure(loudness)
        log = structlog.get_logger()
        for level in ("debug", "info", "warning", "error"):
            getattr(log, level)("something", number=7)

        events = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert [(level, "something", 7) for level in levels] == [
            (event["level"], event["event"], event["number"]) for event in events
        ]
        assert all(event["timestamp"].endswith("Z") for event in events)

    @pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
    def test_hostile_words_are_spelled_out(self, monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> None:
        """What a server said must not drive the terminal of whoever reads the log."""
        monkeypatch.setattr(sys, "stderr", stream)
        logs.configure()

        structlog.get_logger().warning("refused", reason="\x1b]0;owned\x07\nok", file="\udcff")

        said = stream.getvalue()
        assert ("\x1b]" not in said, "owned" in said, 1) == (True, True, len(said.splitlines()))


def test_a_stage_can_be_still() -> None:
    """Nothing to draw is no error."""
    with Silent().stage("x") as stage:
        assert isinstance(stage, progress._Still)
