"""What deserves a second look in a policy that is valid."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure import policy, policy_lint, policy_words
from ec_closure.errors import EcError
from ec_closure.findings import KINDS

TODAY = datetime.date(2026, 11, 20)
ENTRY = "owner='image team'\nreason='known'\nexpires=2027-03-01\n"
REGISTER = f"[[unreproducible]]\n{ENTRY}"
ACCEPT = f"[[accept]]\n{ENTRY}"


def noted(text: str, level: str) -> dict[str, str]:
    """Return what is said at one level, by its place."""
    notes = policy_lint.lint(policy.decode(text.encode()), TODAY)
    return {one.place: one.message for one in notes if one.level == level}


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("severity.EV201 = 'info'", "severity.EV201", "bytes differ from what CI signed: nothing harmless"),
        ("severity.EV206 = 'warn'", "severity.EV206", "nothing harmless"),
        ("severity.EV910 = 'info'", "severity.EV910", "no entry of this file ever ends"),
        ("allowed_unlisted = ['ok', '*']", "allowed_unlisted[1]", "'*' covers everything"),
        ("allowed_extra = ['*-*']", "allowed_extra[0]", "covers everything"),
        ("systems = ['?*']", "systems[0]", "covers everything"),
        ("metadata.attributes = ['security.*']", "metadata.attributes[0]", "security.capability"),
        ("metadata.attributes = ['*']", "metadata.attributes[0]", "security.capability"),
        (REGISTER + "pattern='*'", "unreproducible[0].pattern", "covers everything"),
        (REGISTER.replace("2027-03-01", "2026-11-19") + "pattern='x'", "unreproducible[0].expires", "every run fails"),
        (REGISTER.replace("2027-03-01", "2026-11-20") + "pattern='x'", "unreproducible[0].expires", "in 0 days"),
        (REGISTER.replace("2027-03-01", "2026-12-04") + "pattern='x'", "unreproducible[0].expires", "in 14 days"),
        (REGISTER.replace("image team", "a@b.c") + "pattern='x'", "unreproducible[0].owner", "name a role"),
        (REGISTER + f"pattern='{'0' * 32}-x'", "unreproducible[0].pattern", "begins with a hash"),
        (REGISTER + "pattern='/nix/store/x'", "unreproducible[0].pattern", "is a path"),
        (f"{REGISTER}pattern='a*'\n{REGISTER}pattern='ab'", "unreproducible[1].pattern", "unreproducible[0], 'a*'"),
        (f"{REGISTER}pattern='a'\n{REGISTER}pattern='a'", "unreproducible[1].pattern", "never counts"),
        (
            f"{ACCEPT}code='EV205'\npattern='*'\n{ACCEPT}code='EV205'\npattern='x'",
            "accept[1].pattern",
            "never counts",
        ),
        (ACCEPT + "code='EV205'\npattern='*'", "accept[0].pattern", "every EV205, whatever it is about"),
        (ACCEPT + "code='EV205'\npattern='?*'", "accept[0].pattern", "every EV205 that names a path"),
        (ACCEPT + "code='EV201'\npattern='x'", "accept[0].code", "nothing harmless"),
    ],
)
def test_what_is_dangerous_is_warned_of(text: str, place: str, message: str) -> None:
    """With the key that it is about."""
    assert message in noted(text, "warn")[place]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "severity.EV205 = 'fail'",
        "severity.EV205 = 'info'",
        "allowed_unlisted = ['*-hello-*']",
        "allowed_extra = ['lost+found']",
        "metadata.attributes = ['user.*']",
        "metadata.times = ['*']",
        "systems = ['*ec-runner*']",
        REGISTER + "pattern='dhparams'",
        f"{REGISTER}pattern='ab'\n{REGISTER}pattern='a*'",
        f"{ACCEPT}code='EV205'\npattern='a'\n{ACCEPT}code='EV203'\npattern='a'",
        ACCEPT + "code='EV304'\npattern='/boot/*'",
    ],
)
def test_what_operators_ordinarily_write_is_not(text: str) -> None:
    """A check that always warns is not read."""
    assert {} == noted(text, "warn")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "systems"),
        ("severity.EV201 = 'fail'", "severity.EV201"),
        ("severity.EV111 = 'warn'", "severity.EV111"),
        ("allowed_extra = ['a', 'b', 'a']", "allowed_extra[2]"),
        (REGISTER.replace("2027", "2099") + "pattern='x'", "unreproducible[0].expires"),
        (ACCEPT + "code='EV501'\npattern='x'", "accept[0].code"),
        (ACCEPT + "code='EV214'\npattern='x'", "accept[0].code"),
    ],
)
def test_what_is_merely_odd_is_remarked(text: str, place: str) -> None:
    """It weighs nothing, and saves somebody a question."""
    assert place in noted(text, "info")


def test_every_key_is_told_in_words() -> None:
    """A key that is added later must not be left out of the explanation."""
    text = f"severity.EV205 = 'fail'\n{REGISTER}pattern='x'\n{ACCEPT}code='EV203'\npattern='x'"
    told = {one.about for one in policy_words.whole(policy.decode(text.encode()), TODAY)}

    keys = {about.partition("[")[0].partition(".")[0] for about in told}
    silent = {"schema", "allow_specialisations"}  # the latter is told with `systems`
    assert set(policy.Policy.__struct_fields__) - silent <= keys


TEXTS = st.text("*?[]ab-/@0", min_size=1, max_size=5)
POLICIES = st.builds(
    "\n".join,
    st.lists(
        st.one_of(
            st.builds("severity.{} = '{}'".format, st.sampled_from(sorted(KINDS)), st.sampled_from(["fail", "info"])),
            st.builds("allowed_unlisted = ['{}', '{}']".format, TEXTS, TEXTS),
            st.builds("metadata.attributes = ['{}']".format, TEXTS),
            st.builds("systems = ['{}']".format, TEXTS),
        ),
        max_size=3,
    ),
)
ENTRIES = st.lists(
    st.builds(
        "\n[[{}]]\n{}owner='{}'\nreason='r'\npattern='{}'\nexpires={}".format,
        st.just("accept"),
        st.builds("code='{}'\n".format, st.sampled_from(sorted(KINDS))),
        TEXTS,
        TEXTS,
        st.dates(datetime.date(1, 1, 1)).map(datetime.date.isoformat),
    ),
    max_size=4,
).map("".join)


@given(POLICIES, ENTRIES, st.dates(datetime.date(1970, 1, 1)), st.text("*?[]ab-/", min_size=1, max_size=6))
def test_any_policy_is_refused_or_explained(text: str, entries: str, today: datetime.date, asked: str) -> None:
    """With an error of ours, or with notes and words that can be printed."""
    try:
        found = policy.decode((text + entries).encode())
    except EcError:
        return
    for note in policy_lint.lint(found, today):
        assert note.message.isprintable()
    said = [*policy_words.whole(found, today), *policy_words.about_name(found, asked, "/nix/store", today)]
    for code in KINDS:
        said += policy_words.about_code(found, code, today)
    assert all(one.about and one.text.isprintable() for one in said)
