"""The rule on `run:`, by what it lets through and what it refuses."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.workflows.command import NotSimpleError, commands


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("./dev test", [["./dev", "test"]]),
        ("./dev setup\n./dev check\n", [["./dev", "setup"], ["./dev", "check"]]),
        ("nix build -L .#checks.x86_64-linux.lint", [["nix", "build", "-L", ".#checks.x86_64-linux.lint"]]),
        ('ec-release x --tag "$TAG" --to="a/${B}/c"', [["ec-release", "x", "--tag", "${TAG}", "--to=a/${B}/c"]]),
        ("cosign x 'two words'\t--yes", [["cosign", "x", "two words", "--yes"]]),
        ("cosign '*' \"?[a]{b}\" a=b", [["cosign", "*", "?[a]{b}", "a=b"]]),
    ],
)  # fmt: skip
def test_simple_commands_are_read(text: str, words: list[list[str]]) -> None:
    """Words are literal, quoted, or hold variables in double quotes."""
    assert words == [[str(word) for word in command.words] for command in commands(text)]


def test_an_output_goes_to_one_file() -> None:
    """It is anew with one sign, and longer with two."""
    (first, second) = commands('a b > out\na --c "$D" >> "$GITHUB_STEP_SUMMARY"')

    assert (str(first.output), first.append, len(first.words)) == ("out", False, 2)
    assert (str(second.output), second.append, len(second.words)) == ("${GITHUB_STEP_SUMMARY}", True, 3)


def test_what_is_literal_says_so() -> None:
    """A dollar in single quotes is a dollar."""
    (command,) = commands("a '$HOME' \"$HOME\"")

    assert ["a", "$HOME", None] == [word.literal for word in command.words]
    assert ("HOME",) == command.words[2].variables


@pytest.mark.parametrize(
    "text",
    [
        "a && b", "a || b", "a | b", "a; b", "a & b", "a &", "(a)", "{ a; }", "! a",
        "if a", "then", "for x in a", "while a", "until a", "case a in", "select x in a", "[ -n a ]", "[[ a ]]",
        "test -n a",
        "a $(b)", "a `b`", 'a "$(b)"', 'a "`b`"', "a $B", "a ${B}", "a $'b'", 'a $"b"',
        "a <(b)", "a < b", "a <<EOF", "a <<< b",
        'a "${B:-c}"', 'a "${B#c}"', 'a "${!B}"', 'a "$1"', 'a "$@"', 'a "$?"', 'a "$((1+1))"', 'a "${B[0]}"', 'a "$"',
        "a *", "a b?", "a [b]", "a {b,c}", "a ~/b", "~/b", "a # b", "# a", "a \\", "a \\n", 'a "\\n"',
        "a 'b", 'a "b', "a 2>b", "a >&2", "a >| b", "a > b > c", "a >", "> a", "a >> ", "a b>c",
        "eval a", "exec a", "source a", ". a", "set -e", "cd a", "export A=b", "A=b c", "A=b", "A+=b c",
        "true", ": a", "exit 0",
        "time a", "trap a EXIT", "function a", "command a", "a <", "return", "'if' a", '"A=b" c',
    ],
)  # fmt: skip
def test_what_a_shell_would_resolve_is_refused(text: str) -> None:
    """Conditionals, loops, pipes, substitutions, lists, expansions, patterns, other outputs, builtins."""
    with pytest.raises(NotSimpleError):
        commands(text)
    with pytest.raises(NotSimpleError):
        commands(f"./dev test\n  {text}\n./dev check\n")


@given(st.lists(st.text("ab$`\\\"'|&;()<>{}[]*?~#! \t=\n", max_size=12), max_size=3))
def test_what_passes_means_the_same_to_a_shell(lines: list[str]) -> None:
    """Whatever is let through, a shell runs as those words: nothing expanded, nothing else started."""
    text = "\n".join(f"p {line}" for line in lines)
    try:
        found = [command for command in commands(text) if command.output is None and command.program.literal == "p"]
        whole = len(found) == len(commands(text))
    except NotSimpleError:
        return
    if not whole:
        return
    program = 'p() { for word in "$@"; do printf "<%s>" "$word"; done; echo; }\n' + text
    done = subprocess.run(
        ["bash", "-c", program], check=True, capture_output=True, text=True, env={"a": "x y", "b": "*"}
    )
    expected = [
        "".join(f"<{word.value(lambda name: {'a': 'x y', 'b': '*'}.get(name, ''))}>" for word in command.words[1:])
        + "\n"
        for command in found
    ]

    assert "".join(expected) == done.stdout
