"""Command lines are cut as systemd cuts them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_verify.observe import command_line
from ec_verify.observe.command_line import Command


@pytest.mark.parametrize(
    "value",
    [
        "/evil",
        "@/evil innocent",
        "-/evil",
        ":/evil",
        "+/evil",
        "!/evil",
        "!!/evil",
        "|/evil",
        "-@:!!|/evil innocent",
        "@-+:/evil innocent",
        '"/evil"',
        "'/evil'",
        '"-/evil"',
        '/"ev"il',
        "/ev''il",
        '""/evil',
        "-''/evil",
        r"\x2fevil",
        r"\057evil",
        r"\u002fevil",
        r"\U0000002fevil",
        r"/e\166il",
        r'"\x2f"ev\151l',
        "; /evil",
        '";" /evil',
        "/fine ; /evil",
        "/fine\t;\t/evil",
        "/fine a ; ; -/evil ;",
        r"/fine \; ; /evil",
        r"/fine ';' ; /evil",
        '/fine "a ; b" ; /evil',
        '/evil "',
        "/fine ; /evil '",
    ],
)
def test_a_program_is_found_however_it_is_spelt(value: str) -> None:
    """Prefixes in any order, quotes anywhere, escapes of C, and several commands in a line."""
    assert "/evil" in {one.program for one in command_line.parse(value)}


@pytest.mark.parametrize(
    ("value", "programs"),
    [
        ("", []),
        (" \t", []),
        (";", []),
        ('"', []),
        ("/fine ;/evil", ["/fine"]),
        (r"/fine \; /evil", ["/fine"]),
        (r"/fine \x3b /evil", ["/fine"]),
        ('/fine ";" /evil', ["/fine"]),
        ("/fine /evil", ["/fine"]),
        ("/fi ne", ["/fi"]),
        ("/fi\N{NO-BREAK SPACE}ne", ["/fi\N{NO-BREAK SPACE}ne"]),
        (r"/fi\sne", ["/fi ne"]),
        (r"/fi\x00ne", [r"/fi\x00ne"]),
        (r"/fi\777ne", [r"/fi\777ne"]),
        (r"/fi\qne", [r"/fi\qne"]),
        ("--/fine", ["-/fine"]),
        ("@@/fine a", ["@/fine"]),
        ("!!!/fine", ["!/fine"]),
        ("+!/fine", ["!/fine"]),
        ("!+/fine", ["+/fine"]),
    ],
)
def test_what_is_no_program_is_not_taken_for_one(value: str, programs: list[str]) -> None:
    """Arguments, names that no program can have, and prefixes too many."""
    assert programs == [one.program for one in command_line.parse(value)]


def test_arguments_are_words_without_the_name_that_the_program_is_told() -> None:
    """A shell of a user's gets all of it."""
    assert (Command("/x", ("b c", ";", "\udcff", "é")),) == command_line.parse(r"@/x a 'b c' \; \xff \xc3\xa9")
    assert [("/x", True), ("y", False)] == [(one.program, one.shell) for one in command_line.parse("|/x a ; y")]


def test_words_of_a_list_are_cut_alike() -> None:
    """Up to a quote that does not end."""
    assert ("A=b c", "LD_PRELOAD=/evil") == command_line.words('"A=b c" LD_PRE\\x4cOAD=/evil "x')


@given(st.text(max_size=200) | st.text("@-:+!|;\\\"' x0/", max_size=200))
def test_no_text_breaks_the_cutting_of_commands(value: str) -> None:
    """And what goes before hides no command behind."""
    command_line.parse(value)
    command_line.words(value)
    assert "/evil" == command_line.parse(f"{value.translate({34: 'q', 39: 'q', 92: 'b'})} ; /evil")[-1].program
