"""Readers of what strangers send, under hypothesis: they refuse in their own words, or what they accept holds."""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner_dashboard.config import decode
from runner_dashboard.data.database import Database
from runner_dashboard.demo.machine import Machine, Release
from runner_dashboard.errors import ConfigError
from runner_dashboard.identity.keys import ROTATION, SigningKeys
from runner_dashboard.identity.secrets import API, ENROLMENT, Secret
from runner_dashboard.identity.sessions import Sessions
from runner_dashboard.ingest import envelope
from runner_dashboard.ingest.nonce import Nonces
from runner_dashboard.refusals import MalformedError, RefusedError
from runner_dashboard.web.templates import lasting, shown, store_name

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = 1_790_000_000
LIFETIME = 1000
MACHINE = Machine("runner-1", Release(1))
ENVELOPE = MACHINE.sign(MACHINE.passed(NOW))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningKeys]:
    """Give keys in a database."""
    with Database(tmp_path_factory.mktemp("keys") / "dashboard.sqlite") as database:
        database.migrate()
        yield SigningKeys(database, LIFETIME)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    """With an error of ours."""
    with pytest.raises(RefusedError) as caught:
        envelope.verified(envelope.claim(data), [])

    assert caught.value.status in (400, 403, 422)


@given(st.integers(0, len(ENVELOPE) - 1), st.integers(0, 255))
def test_one_byte_makes_another_envelope(position: int, byte: int) -> None:
    """What comes out is what was signed, or nothing does."""
    data = ENVELOPE[:position] + bytes([byte]) + ENVELOPE[position + 1 :]
    whole = envelope.verified(envelope.claim(ENVELOPE), [MACHINE.public_key])
    try:
        found = envelope.verified(envelope.claim(data), [MACHINE.public_key])
    except RefusedError:
        return
    assert found == whole


@given(st.text(max_size=300))
def test_no_other_text_is_a_nonce(keys: SigningKeys, text: str) -> None:
    """However it is spelled."""
    assert Nonces(keys, LIFETIME).judge(NOW, text, "") == "strange"


@given(st.text(alphabet=st.characters(max_codepoint=126, min_codepoint=33), max_size=50), st.integers(0, 3 * LIFETIME))
def test_a_nonce_is_fresh_for_its_time_and_its_token(keys: SigningKeys, token: str, age: int) -> None:
    """Late after it, and with another token; never strange."""
    nonces = Nonces(keys, LIFETIME)
    nonce = nonces.hand_out(NOW, token)

    assert nonces.judge(NOW + age, nonce, token) == ("fresh" if age <= LIFETIME else "late")
    assert nonces.judge(NOW, nonce, f"{token}x") == "late"


@given(st.integers(0, 107), st.integers(1, 255))
def test_an_altered_nonce_is_strange(keys: SigningKeys, position: int, change: int) -> None:
    """Its time and its asker are signed."""
    nonces = Nonces(keys, LIFETIME)
    raw = bytearray(base64.urlsafe_b64decode(nonces.hand_out(NOW, "")))
    raw[position % len(raw)] ^= change

    assert nonces.judge(NOW, base64.urlsafe_b64encode(raw).decode(), "") == "strange"


@given(st.text(max_size=120))
def test_no_other_text_is_a_cookie_or_a_form_value(keys: SigningKeys, text: str) -> None:
    """Nor does it raise."""
    sessions = Sessions(keys, LIFETIME)

    assert sessions.opened(NOW, text) is None
    assert not sessions.is_ours(NOW, "session", text)
    assert not sessions.is_ours(NOW, text, sessions.form_value(NOW, "session")) or text == "session"


def test_keys_are_replaced_and_old_ones_forgotten(keys: SigningKeys) -> None:
    """What an old key signed is accepted for a while, and then no more."""
    cookie = Sessions(keys, LIFETIME).cookie(NOW, "session")

    assert Sessions(keys, LIFETIME).opened(NOW + ROTATION, cookie) == "session"
    assert Sessions(keys, LIFETIME).opened(NOW + 2 * ROTATION + LIFETIME + 2, cookie) is None


@given(st.text(max_size=100))
def test_only_a_token_is_a_token(text: str) -> None:
    """And it is written as it was read."""
    found = Secret.parse(text, API)

    assert found is None or found.render() == text


def test_a_secret_does_not_show_itself() -> None:
    """Not where a value is printed for whoever looks for a mistake."""
    made = Secret.generate(ENROLMENT)

    assert made.secret not in repr(made)
    assert made == Secret.parse(made.render(), ENROLMENT)
    assert Secret.parse(made.render(), API) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_configuration_or_a_mistake(data: bytes) -> None:
    """And nothing else is raised."""
    with contextlib.suppress(ConfigError):
        assert decode(data).schema == "ec-runner.dashboard.v1"


@given(st.text(max_size=400))
def test_what_is_shown_prints_as_itself(text: str) -> None:
    """Controls, marks of direction and lone surrogates are spelled out."""
    assert shown(text).isprintable()
    assert store_name(f"/nix/store/{text}").isprintable()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_799, "47 h"),
        (172_800, "2 days"),
    ],
)
def test_lengths_of_time_are_told_in_words(seconds: int, words: str) -> None:
    """Short enough for a column."""
    assert words == lasting(seconds)


def test_a_name_that_is_no_key_is_refused() -> None:
    """A key of another kind, or of another curve, is none of a node."""
    from runner_dashboard.fleet.enrolment import key_line, parse_key

    assert MACHINE.public_key == parse_key(f"  {MACHINE.public_key}\n")
    pem = f"-----BEGIN PUBLIC KEY-----\n{key_line(MACHINE.public_key)}\n-----END PUBLIC KEY-----\n"
    assert MACHINE.public_key == parse_key(pem)
    for text in ("", "0" * 63, "A" * 64, "é" * 64, pem.replace("MCow", "MCox"), pem[:60]):
        with pytest.raises(MalformedError):
            parse_key(text)
