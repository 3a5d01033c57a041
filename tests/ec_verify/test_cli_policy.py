"""`ec-verify policy`: checked before it is used, and told in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from ec_closure.policy_lint import PolicyCheck
from ec_closure.policy_words import PolicyExplanation

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ec_verify.conftest import Node, Ran

TIME = ("--time", "2026-11-20T12:00:00Z")


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Give a policy with something of everything."""
    file = tmp_path / "some.toml"
    file.write_text(
        'allowed_unlisted = ["*-hello-2.*"]\nsystems = ["runner*"]\n[severity]\nEV205 = "fail"\n'
        '[metadata]\ntimes = ["firmware*"]\ngroups = [30000]\n'
        '[[unreproducible]]\npattern = "dhparams"\nowner = "image team"\nreason = "new numbers"\nexpires = 2027-03-01\n'
        '[[accept]]\ncode = "EV205"\npattern = "tool*"\nowner = "image team"\nreason = "touched"\n'
        "expires = 2026-11-19\n"
    )
    return file


def ask(node: Node, policy: Path, *arguments: str) -> Ran:
    """Run `policy explain` on a node with this policy."""
    config = node.directory / "verify.toml"
    config.write_text(f'state_dir = "{node.state}"\npolicy = "{policy}"\n')
    return node.ran("policy", "explain", *arguments, *TIME, "--config", str(config))


def test_a_valid_policy_passes_with_what_deserves_a_look(bare_node: Node, policy: Path) -> None:
    """Each note with its key; the exit code speaks of validity alone, unless it is asked to be strict."""
    ran = bare_node.ran("policy", "check", str(policy), *TIME)

    assert (0, f"{policy} is valid; level source") == (ran.exit, ran.out.splitlines()[0])
    assert "warn  accept[0].expires: 'tool*' expired on 2026-11-19: every run fails" in ran.out
    assert 1 == bare_node.ran("policy", "check", "--strict", str(policy), *TIME).exit


def test_strict_minds_warnings_and_no_remarks(bare_node: Node, tmp_path: Path) -> None:
    """For the place where the policy is made."""
    (tmp_path / "plain.toml").write_text("")

    ran = bare_node.ran("policy", "check", "--strict", str(tmp_path / "plain.toml"))

    assert (0, True) == (ran.exit, "info  systems: empty" in ran.out)


def test_the_day_is_that_of_the_reference_time(bare_node: Node, policy: Path) -> None:
    """A policy can be checked for the day on which it will be used, in any time zone."""
    for time, expired in (("2026-11-20T00:30:00+01:00", False), ("2026-11-20T00:30:00Z", True)):
        ran = bare_node.ran("policy", "check", str(policy), "--time", time)
        assert expired == ("expired on" in ran.out)


@pytest.mark.parametrize("text", ["levl = 1", "systems = ['[']", "\0", "[[accept]]\ncode = 'EV504'"])
def test_what_is_no_policy_is_refused(bare_node: Node, tmp_path: Path, text: str) -> None:
    """With its place, and what to do."""
    (tmp_path / "broken.toml").write_text(text)

    bare_node.ran("policy", "check", str(tmp_path / "broken.toml")).assert_refused()
    bare_node.ran("policy", "check", str(tmp_path / "gone.toml")).assert_refused()


def test_json_is_the_published_document(bare_node: Node, policy: Path) -> None:
    """For those who check many."""
    ran = bare_node.ran("policy", "check", str(policy), "--json", *TIME)

    found = msgspec.json.decode(ran.out, type=PolicyCheck)

    assert (str(policy), {"warn"}) == (found.policy, {note.level for note in found.notes})


def test_without_a_file_it_is_the_configurations(bare_node: Node) -> None:
    """The one that runs would use."""
    bare_node.policy["level"] = "rebuild"

    ran = bare_node.ran("policy", "check", "--config", str(bare_node.configure()))

    assert (0, f"{bare_node.directory / 'policy.toml'} is valid; level rebuild") == (ran.exit, ran.out.splitlines()[0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), ["source", "only systems called 'runner*' may run", "fail (of this policy; the catalogue says warn)"]),
        (("EV205",), ["fail (of this policy", "time stamps of 'firmware*'", "expired on 2026-11-19", "image team"]),
        (("ev205",), ["time stamp differs from the canonical one"]),
        (("EV208",), ["'*-hello-2.*' may be there"]),
        (("EV501",), ["differences of 'dhparams': accepted, until 2027-03-01; image team: new numbers"]),
        (("EV504",), ["cannot be accepted"]),
        (("EV111",), ["at most 10 newer releases"]),
        (("EV319",), ["none may be there"]),
        (("EV106",), ["a run never passes"]),
        (("dhparams",), ["held against 'dhparams'", "differences of 'dhparams'"]),
        (("/nix/store/00000000000000000000000000000000-dhparams",), ["differences of 'dhparams'"]),
        (("/nix/store/00000000000000000000000000000000-hello-2.12",), ["it may lie here, registered"]),
        (("firmware-5/blob",), ["its time stamps do not count"]),
        (("/etc/passwd",), ["no entry of the policy covers it"]),
    ],
)
def test_the_policy_is_told_in_words(
    bare_node: Node, policy: Path, arguments: tuple[str, ...], said: list[str]
) -> None:
    """All of it, or what it does with a code, a path or a name."""
    ran = ask(bare_node, policy, *arguments)

    assert 0 == ran.exit
    assert [] == [one for one in said if one not in ran.out]


def test_words_are_had_as_json(bare_node: Node, policy: Path) -> None:
    """With the digest that reports cite."""
    found = msgspec.json.decode(ask(bare_node, policy, "EV205", "--json").out, type=PolicyExplanation)

    assert ("EV205", "EV205") == (found.subject, found.says[0].about)


@pytest.mark.parametrize("what", ["EV299", "EV1", ""])
def test_what_means_nothing_is_refused(bare_node: Node, policy: Path, what: str) -> None:
    """No code of the catalogue, or nothing at all."""
    ask(bare_node, policy, what).assert_refused()


def test_policy_alone_asks_for_more(bare_node: Node) -> None:
    """Help is no success here."""
    bare_node.ran("policy").assert_refused()


def test_hostile_patterns_reach_the_terminal_as_text(bare_node: Node, tmp_path: Path) -> None:
    """Whoever wrote the policy may not write on the terminal."""
    (tmp_path / "some.toml").write_text('allowed_unlisted = ["\u202e*"]\n')

    ran = ask(bare_node, tmp_path / "some.toml")

    assert ran.out.replace("\n", "").isprintable()
