"""Scripts of CI: which commands are run with which words, as far as that can be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.errors import LimitError
from ec_release.authority import programs, shell, shell_words

if TYPE_CHECKING:
    from ec_release.authority.shell import Outcome

VARIABLES = {"A": ("a",), "TWO": ("x", "y"), "WORDS": ("push image",), "EMPTY": ("",)}


def lines(script: str) -> list[list[str]]:
    """Return the command lines of a script."""
    return [list(one.words) for one in shell.run(script, VARIABLES).commands]


def outcome(script: str) -> Outcome:
    """Return what a script does."""
    return shell.run(script, VARIABLES)


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("a b; c && d || e | f & g", [["a", "b"], ["c"], ["d"], ["e"], ["f"], ["g"]]),
        ("a 'b c' \"d e\" f\\ g h'i'\"j\"", [["a", "b c", "d e", "f g", "hij"]]),
        ("a \\\n  b # c\n# d\ne", [["a", "b"], ["e"]]),
        ("a $A ${A} '$A' \"$A-${A}\" \\$A", [["a", "a", "a", "$A", "a-a", "$A"]]),
        ("a ${NONE:-b} ${A:-c} ${EMPTY:-d} ${NONE}", [["a", "b", "a", "d", "$NONE"]]),
        ("a ${A%x} ${#A}", [["a", "${A%x}", "${#A}"]]),
        ("docker $WORDS", [["docker", "push", "image"]]),
        ('docker "$WORDS"', [["docker", "push image"]]),
        ("a $TWO", [["a", "x"], ["a", "y"]]),
        ("B=$A; a $B", [["a", "a"]]),
        ("export B=b; a $B", [["a", "b"]]),
        ("B=b a $B", [["a", "$B"]]),
        ("for i in p q; do a $i; done", [["a", "p"], ["a", "q"]]),
        ("if a; then b; elif c; then d; else e; fi", [["a"], ["b"], ["c"], ["d"], ["e"]]),
        ("while ! a; do { b; }; done", [["a"], ["b"]]),
        ("(a; b)", [["a"], ["b"]]),
        ("a $(b $A)", [["b", "a"], ["a", "$(b…)"]]),
        ("a `b c`", [["b", "c"], ["a", "$(b…)"]]),
        ('a "$(b "$(c ")")")"', [["c", ")"], ["b", "$(c…)"], ["a", "$(b…)"]]),
        ("a ${{ github.sha }}/x", [["a", "${{ github.sha }}/x"]]),
        ("a > b 2>&1 < c", [["a"]]),
        ("L=(docker push x); a", [["a"]]),
        ("a <<EOF\ndocker push x\nEOF\nb", [["a"], ["b"]]),
        ("a && b <<-'EOF' | c\n\tx\n\tEOF\nd", [["a"], ["b"], ["c"], ["d"]]),
        ("f() { a $1; }; f x", [["f"], ["a", "$1"], ["f", "x"]]),
        ("case $A in x) a;; *) b;; esac", [["case", "a", "in", "x"], ["a"], ["*"], ["b"]]),
        ("a 'b", [["a", "b"]]),
        ("a $((1 + 2))", [["a", "$((1+2))"]]),
    ],
)
def test_commands_are_what_a_shell_makes_of_them(script: str, found: list[list[str]]) -> None:
    """Lists, quotes, variables, substitutions, redirections; branches and loops are gone into."""
    assert found == lines(script)


def test_lines_are_those_of_the_script() -> None:
    """Also behind here documents and continued lines; a substitution has the line it stands on."""
    script = "a \\\n b\nc <<X\n1\n2\nX\nd\ne $(f)\n"

    assert [(one.words[0], one.line) for one in outcome(script).commands] == [
        ("a", 1),
        ("c", 3),
        ("d", 7),
        ("f", 8),
        ("e", 8),
    ]


def test_here_documents_are_kept() -> None:
    """They may be a script that a shell is fed; so may what a pipe brings."""
    first, second, third = outcome("bash <<'X'\ndocker push a\nX\ncurl x | sh").commands

    assert (first.words, first.document) == (("bash",), "docker push a")
    assert (second.words, third.words, third.fed) == (("curl", "x"), ("sh",), ("curl", "x"))


def test_what_later_steps_get_is_followed() -> None:
    """Variables and outputs, by the files that a runner reads; what is not understood is said to be so."""
    found = outcome(
        'echo A=b >> $GITHUB_ENV\necho "name=ghcr.io/$A" >> "$GITHUB_OUTPUT"\necho \'N=two words\' >> $GITHUB_ENV\n'
    )
    assert found.environment == {"A": ("b",), "N": ("two words",)}
    assert found.outputs == {"name": ("ghcr.io/a",)}
    assert outcome("cat x >> $GITHUB_ENV").blurred == {"environment"}
    assert outcome("printf '%s' x >> $GITHUB_OUTPUT").blurred == {"outputs"}


@given(st.text("a $(){}'\"`\\\n;|&<>#=-E", max_size=80))
def test_any_text_is_cut_into_commands(script: str) -> None:
    """Without an error, in a time that its length bounds; every line is one of the script's."""
    for command in shell.run(script, VARIABLES).commands:
        assert command.words
        assert 1 <= command.line <= script.count("\n") + 1


def test_a_script_without_end_is_refused() -> None:
    """Before it is read."""
    with pytest.raises(LimitError):
        shell.run("a" * (shell_words.MAX_LENGTH + 1), {})


def test_defaults_are_followed_to_a_depth() -> None:
    """Also what a default runs; a thousand defaults in one another end before the stack does."""
    assert ["b"] in lines("a ${NONE:-$(b)}")
    assert lines("a ${N:-${M:-b}}") == [["a", "b"]]
    assert len(lines("a " + "${N:-" * 1000 + "}" * 1000)) == 1


def test_substitutions_are_followed_to_a_depth() -> None:
    """No further, and without an end of the stack."""
    assert len(lines("$(" * 3000 + "a" + ")" * 3000)) <= shell.MAX_NESTING + 1


@pytest.mark.parametrize(
    ("line", "words", "script"),
    [
        ("sudo -E -u root docker push x", "docker push x", None),
        ("env -i A=b docker push x", "docker push x", None),
        ("timeout -k 5 10 nice -n 3 docker push x", "docker push x", None),
        ("xargs -n 1 docker push", "docker push", None),
        ("exec command docker push x", "docker push x", None),
        ("command -v docker", "", None),
        ("/usr/bin/docker push x", "/usr/bin/docker push x", None),
        ("bash -euc 'docker push x'", None, "docker push x"),
        ("sh ./push.sh a", "./push.sh a", None),
        ("eval docker push x", None, "docker push x"),
        ("env -S 'docker push x'", None, "docker push x"),
        ("nix run nixpkgs#skopeo -- copy a b", "skopeo copy a b", None),
        ("nix run --option a b .#ec-release publish", "ec-release publish", None),
        ("nix run github:DeterminateSystems/flakehub-push?ref=x", "flakehub-push", None),
        ("nix shell nixpkgs#crane -c crane push a b", "crane push a b", None),
        ("nix develop -c bash -c 'docker push x'", None, "docker push x"),
        ("nix-shell -p skopeo --run 'skopeo copy a b'", None, "skopeo copy a b"),
        ("docker run --rm gcr.io/go-containerregistry/crane:latest push a b", "crane push a b", None),
        ("docker run --rm alpine true", "docker run --rm alpine true", None),
        ("nix build .#x", "nix build .#x", None),
    ],
)
def test_what_is_run_in_the_end_is_found(line: str, words: str | None, script: str | None) -> None:
    """Behind wrappers, shells, Nix and containers."""
    found = programs.unwrap(shell.run(line, {}).commands[0].words)

    assert found.script == script
    if words is not None:
        assert " ".join(found.words) == words


def test_wrappers_without_end_come_to_one() -> None:
    """A thousand of them are not unwrapped."""
    assert programs.unwrap(("sudo",) * 1000).words[0] == "sudo"
    assert programs.unwrap(("uv", "run") * 1000).words[0] == "uv"
