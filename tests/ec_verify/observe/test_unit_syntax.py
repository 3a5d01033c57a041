"""Unit files are cut as systemd cuts them, not as a person would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_verify.observe import unit_syntax

RUN = ("Service", "ExecStart", "/evil")


@pytest.mark.parametrize(
    "text",
    [
        "[Service]\nExecStart=/evil",
        "[Service]\nExecStart = /evil \n",
        " \t[Service] \n\t ExecStart\t=\t/evil",
        "[Service]\r\nExecStart=/evil\r\n",
        "[Service]\rExecStart=/evil\r",
        "[Service]\0ExecStart=/evil\0",
        "[Service]\n\r\0ExecStart=/evil",
        "\ufeff[Service]\nExecStart=/evil",
        "# one\n\ufeff[Service]\nExecStart=/evil",
        "[Service]\n# a comment \\\nExecStart=/evil",
        "[Service]\n; a comment \\\nExecStart=/evil",
        "[Service]\nExecStart=\\\n/evil",
        "[Service]\nExecStart=\\\n# a comment\n  ; another \\\n/evil",
        "[Service]\nExec\\\r# a comment\rStart=/evil".replace(
            "Exec\\\r# a comment\rStart", "\\\r# a comment\rExecStart"
        ),
        "[Service]\nExecStart=/evil\\",
        "[Unit\\\n]\n[Service]\nExecStart=/evil",
        "[X-A]\n[X-\x01]\n[Service]\nExecStart=/evil",
        "[Service]\n[X-A]\n[Service]\nExecStart=/evil",
        "[Service]\n[X-A\nExecStart=/evil",
        "[Service]\n[X-\udcff]\nExecStart=/evil",
        "[Service]\n[X-\ufdd0]\nExecStart=/evil",
        '[Service]\n[X-"]\nExecStart=/evil',
        "[Service]\n=x\nword\nExecStart=/evil",
    ],
)
def test_an_assignment_is_found_however_it_is_spelt(text: str) -> None:
    """Line ends, blanks, comments, continued lines, marks and headers that count, or do not."""
    assert RUN in unit_syntax.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "ExecStart=/evil",
        "[X-Service]\nExecStart=/evil",
        "[ Service ]\nExecStart=/evil",
        "[service]\nExecStart=/evil",
        "[Service] x]\nExecStart=/evil",
        "[Service]\n#ExecStart=/evil",
        "[Service]\n ;ExecStart=/evil",
        "[Service]\nexecstart=/evil",
        "[Service]\nExecStart\f=/evil",
        "[Service]\nExecStart\N{NO-BREAK SPACE}=/evil",
        "[Service]\nDescription=a \\\nExecStart=/evil",
        "[Service]\nExec\\\nStart=/evil",
        "[Service]\nExecStart=/evil\udcff",
        "[Service]\nExecStart=/evil\uffff",
        "\ufeff\ufeff[Service]\nExecStart=/evil",
    ],
)
def test_what_systemd_does_not_read_is_no_assignment(text: str) -> None:
    """Sections of other programs, comments, keys of other letters, bytes that are no text."""
    assert RUN not in unit_syntax.parse(text)


def test_a_backslash_continues_a_line_only_at_its_very_end() -> None:
    """A blank behind it, and a second one before it, make it a backslash."""
    text = "[Service]\nDescription=a \\ \nExecStart=/evil\nDescription=\\\\\nExecStop=/evil\nA=\\\\\\\nB=c\n"

    assert [
        ("Description", "a \\"),
        ("ExecStart", "/evil"),
        ("Description", "\\\\"),
        ("ExecStop", "/evil"),
        ("A", "\\\\ B=c"),
    ] == [(one.key, one.value) for one in unit_syntax.parse(text)]


def test_an_empty_line_ends_a_continued_one() -> None:
    """A comment does not."""
    assert [("Service", "A", "b"), RUN] == list(unit_syntax.parse("[Service]\nA=b\\\n\nExecStart=\\\n#\n/evil\n\n"))


@given(st.text(max_size=300) | st.text("[]=\\\n\r\0#; AXService\ufeff", max_size=300))
def test_no_text_breaks_the_reading_of_units(text: str) -> None:
    """And what is found has a section, a key, and no blanks around."""
    for one in unit_syntax.parse(text):
        assert one.section in unit_syntax.SECTIONS
        assert "=" not in one.key
        assert one.value == one.value.strip(unit_syntax.BLANKS)


@given(st.text(max_size=300))
def test_what_stands_before_hides_nothing(text: str) -> None:
    """Whatever a file begins with, a section that starts on a line of its own is read."""
    assert RUN == unit_syntax.parse(f"{text}\n\n[Service]\nExecStart=/evil\n")[-1]
