"""Our reading of units against systemd's own: what it would run, we see; what it would not, we do not make up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ec_verify.observe import command_line, unit_syntax

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Runs = Callable[[Mapping[str, bytes]], dict[str, list[list[str]]]]

HEAD = "[Service]\nType=oneshot\nExecStart=/first\n"
KEYS = ("ExecStart", "ExecStartPre", "ExecStop", "ExecStopPost", "ExecCondition")
PROGRAMS = ("", "/p", "-/p", "@/p a", "+/p", "!!/p", ":-/p", "p")
PIECES = (
    *(
        "/evil",
        "evil",
        "é",
        r"\x2f",
        r"\057",
        r"\u002f",
        r"\U0000002f",
        r"\s",
        r"\t",
        r"\q",
        "\\",
        '"',
        "'",
        '" "',
        "' ;'",
    ),
    *(
        " ",
        "\t",
        ";",
        " ; ",
        r"\;",
        r" \; ",
        "#",
        "@",
        "-",
        "+",
        "!",
        ":",
        "=",
        "\f",
        "\N{NO-BREAK SPACE}",
        "\u2028",
        "\ufeff",
    ),
)
LINES = (
    *(
        "[Service]",
        "[Unit]",
        "[X-A]",
        "[Foo]",
        "[Service] ",
        "[Service",
        r"[Ser\vice]",
        "[S é]",
        " [Service]",
        "[X-\ufdd0]",
    ),
    *(
        "# c",
        "; c",
        "  # c \\",
        "",
        "   ",
        "\ufeff[Service]",
        "\ufeffExecStart=/bom",
        "Description=a \\",
        "X=\\\\",
        "Exec\\",
    ),
)
ENDS = ("\n", "\n", "\n", "\r\n", "\r", "\0", "\n\r", "\n\0", "\\\n", "\\ \n", "\\\r\n", "\f\n", "\n\n", "\v")
assignments = st.builds(
    lambda key, equals, program, pieces: f"{key}{equals}{program}{''.join(pieces)}",
    st.sampled_from((*KEYS, "execstart", " ExecStop", "ExecStart\f")),
    st.sampled_from(("=", " = ", "\t=")),
    st.sampled_from(PROGRAMS),
    st.lists(st.sampled_from(PIECES), max_size=4),
)
lines = st.builds(str.__add__, assignments | st.sampled_from(LINES), st.sampled_from(ENDS))
texts = st.lists(lines, min_size=1, max_size=7).map("".join)


def ours(text: str) -> tuple[list[str], list[list[str]], bool]:
    """Return the programs that we see, their arguments with them, and whether something was taken back."""
    found = [one for one in unit_syntax.parse(text) if one.section == "Service" and one.key in KEYS]
    commands = [command for one in found for command in command_line.parse(one.value)]
    programs = [one.program for one in commands]
    return programs, [[one.program, *one.arguments] for one in commands], any(not one.value for one in found)


# Without shrinking, which would ask systemd for hours; the message shows the unit.
@settings(
    max_examples=5,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)
@given(st.lists(texts, min_size=60, max_size=60))
def test_whatever_systemd_would_run_is_seen(runs_of: Runs, some: list[str]) -> None:
    """Sixty units at a time; where systemd takes nothing back and ignores no error, both agree to the word."""
    units = {f"t{number}.service": HEAD + text for number, text in enumerate(some)}
    for unit, theirs in runs_of({unit: text.encode() for unit, text in units.items()}).items():
        text = units[unit]
        programs, vectors, taken_back = ours(text)
        if "@" not in text:  # systemd does not say which program goes by another name
            assert {vector[0] for vector in theirs} <= set(programs), text
            if not taken_back and "-" not in text.replace("X-", ""):
                assert sorted(vector[0] for vector in theirs) == sorted(programs), text
                # It shows words that do not print in a way of its own.
                if all(word.isprintable() for vector in vectors for word in vector):
                    assert sorted(theirs) == sorted(vectors), text
        assert len(theirs) <= len(programs), text


def test_systemd_is_asked_at_all(runs_of: Runs) -> None:
    """Otherwise the test above would hold for want of answers."""
    text = "ExecStop=\\\n# c\n'/ev'il \"a b\" \\; ; -\\x2fx\r[X-A]\nExecStart=/y\n"

    assert {"a.service": [["/first"], ["/evil", "a b", ";"], ["/x"]]} == runs_of({"a.service": (HEAD + text).encode()})
