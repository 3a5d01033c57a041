from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner, SSlibKey

from ec_closure import dsse
from ec_closure.dsse import EnvelopeError, SignatureError
from ec_closure.errors import EcError, LimitError, UsageError
from ec_closure.strict_json import JsonError

if TYPE_CHECKING:
    from collections.abc import Callable

    from securesystemslib.signer import Key

TYPE = "application/vnd.in-toto+json"
SIGNERS = [CryptoSigner.generate_ed25519() for _ in range(3)]
KEYS = [signer.public_key for signer in SIGNERS]
PAYLOAD = b'{"not": "parsed" \xff\n'
ENVELOPE = dsse.sign(PAYLOAD, TYPE, SIGNERS[:1])


def edited(change: Callable[[dict[str, Any]], object], envelope: bytes = ENVELOPE) -> bytes:
    """Return the envelope after *change* was made to it."""
    document = json.loads(envelope)
    change(document)
    return json.dumps(document).encode()


def again(key: Key, keyid: str, public: str | None = None) -> Key:
    """Return the same key under another identifier, and perhaps in another spelling."""
    return SSlibKey(keyid, key.keytype, key.scheme, {"public": public or key.keyval["public"]})


class TestAccepted:
    """What verifies."""

    @given(st.binary(max_size=300))
    def test_the_payload_comes_back_as_it_was(self, payload: bytes) -> None:
        """Byte for byte: it is not looked at."""
        assert dsse.verify(dsse.sign(payload, TYPE, SIGNERS[:1]), TYPE, KEYS) == payload

    def test_an_envelope_is_what_the_protocol_says(self) -> None:
        """The signature is over `DSSEv1 SP length SP type SP length SP payload`."""
        document = json.loads(dsse.sign(b"hello", "text/x", SIGNERS[:1]))

        assert set(document) == {"payload", "payloadType", "signatures"}
        assert (document["payload"], document["payloadType"]) == ("aGVsbG8=", "text/x")
        assert [entry["keyid"] for entry in document["signatures"]] == [KEYS[0].keyid]
        assert document["signatures"][0]["sig"] == base64.b64encode(
            bytes.fromhex(SIGNERS[0].sign(b"DSSEv1 6 text/x 5 hello").signature)
        ).decode("ascii")

    def test_fields_that_nobody_knows_are_passed_over(self) -> None:
        """The protocol lets others add them, beside the payload and in signatures."""

        def add(document: dict[str, Any]) -> None:
            document["more"] = {"a": [1, {"b": None}]}
            document["signatures"][0]["cert"] = "-----"

        assert dsse.verify(edited(add), TYPE, KEYS) == PAYLOAD

    def test_a_signature_needs_no_identifier(self) -> None:
        """It is a hint: missing, empty or wrong, the signature is tried with every key."""
        assert dsse.verify(edited(lambda e: e["signatures"][0].pop("keyid")), TYPE, KEYS) == PAYLOAD
        for keyid in ("", "unknown", KEYS[1].keyid):
            assert dsse.verify(ENVELOPE.replace(KEYS[0].keyid.encode(), keyid.encode()), TYPE, KEYS) == PAYLOAD

    def test_a_signer_introduces_itself_when_asked(self) -> None:
        """With its key, which is no more than a claim; nobody is introduced otherwise."""
        introduced = dsse.sign(PAYLOAD, TYPE, SIGNERS[:1], introduce=True)

        assert [KEYS[0].keyval["public"]] == [one.public_key for one in dsse.claimed_signers(introduced)]
        assert [""] == [one.public_key for one in dsse.claimed_signers(ENVELOPE)]
        assert dsse.verify(introduced, TYPE, KEYS) == PAYLOAD

    def test_only_keys_of_nodes_fit_into_an_introduction(self) -> None:
        """Another kind of key is not spelled in hexadecimal."""
        other = CryptoSigner.generate_ecdsa()

        assert [""] == [
            one.public_key for one in dsse.claimed_signers(dsse.sign(PAYLOAD, TYPE, [other], introduce=True))
        ]

    def test_signatures_of_strangers_do_no_harm(self) -> None:
        """Not even in front, or under our key's identifier."""

        def crowd(document: dict[str, Any]) -> None:
            noise = [{"keyid": KEYS[0].keyid, "sig": sig} for sig in ("", "AAAA", base64.b64encode(bytes(64)).decode())]
            document["signatures"] = [*noise, *document["signatures"]]

        assert dsse.verify(edited(crowd), TYPE, KEYS[:1]) == PAYLOAD

    def test_the_alphabet_of_urls_is_base64_too(self) -> None:
        """The protocol allows both."""

        def respell(document: dict[str, Any]) -> None:
            document["payload"] = document["payload"].replace("+", "-").replace("/", "_")
            entry = document["signatures"][0]
            entry["sig"] = entry["sig"].replace("+", "-").replace("/", "_")

        envelope = dsse.sign(b"\xfb\xef\xbe\xff", TYPE, SIGNERS[:1])
        assert b"--" in edited(respell, envelope)
        assert dsse.verify(edited(respell, envelope), TYPE, KEYS) == b"\xfb\xef\xbe\xff"

    @pytest.mark.parametrize(
        "signer",
        [CryptoSigner(ec.generate_private_key(ec.SECP256R1())), CryptoSigner(rsa.generate_private_key(65537, 2048))],
        ids=["P-256", "RSA"],
    )
    def test_other_kinds_of_keys_work(self, signer: CryptoSigner) -> None:
        """Whatever the library signs with."""
        assert dsse.verify(dsse.sign(PAYLOAD, TYPE, [signer]), TYPE, [signer.public_key, *KEYS]) == PAYLOAD


class TestThreshold:
    """How many of which keys."""

    def test_every_one_of_the_signers_signs(self) -> None:
        """Two of three keys are enough for a threshold of two, in any order."""
        envelope = dsse.sign(PAYLOAD, TYPE, [SIGNERS[2], SIGNERS[0]])

        assert dsse.verify(envelope, TYPE, KEYS, threshold=2) == PAYLOAD
        with pytest.raises(SignatureError, match="signed by 2 of the 3 keys"):
            dsse.verify(envelope, TYPE, KEYS, threshold=3)

    def test_one_key_signing_twice_is_one_signer(self) -> None:
        """Also where its signatures have two identifiers."""
        envelope = edited(lambda e: e["signatures"].append({**e["signatures"][0], "keyid": KEYS[1].keyid}))
        with pytest.raises(SignatureError, match="signed by 1 of the 2 keys"):
            dsse.verify(envelope, TYPE, KEYS, threshold=2)

    def test_one_key_under_two_identifiers_is_one_key(self) -> None:
        """An operator who lists it twice has one key, and a threshold of two cannot be met."""
        twice = [KEYS[0], again(KEYS[0], "other")]
        with pytest.raises(SignatureError, match="2 signatures wanted of 1 distinct keys"):
            dsse.verify(ENVELOPE, TYPE, twice, threshold=2)
        with pytest.raises(SignatureError, match="signed by 1 of the 2 keys"):
            dsse.verify(ENVELOPE, TYPE, [*twice, KEYS[1]], threshold=2)

    def test_one_key_in_two_spellings_is_one_key(self) -> None:
        """Capital digits, blank lines in PEM, another scheme: the bytes of the key are compared."""
        signer = CryptoSigner(ec.generate_private_key(ec.SECP256R1()))
        pem = signer.public_key.keyval["public"]
        for one, other in (
            (KEYS[0], again(KEYS[0], "other", KEYS[0].keyval["public"].upper())),
            (signer.public_key, again(signer.public_key, "other", f"# a comment\n{pem}\n\n")),
        ):
            assert one.keyval != other.keyval
            with pytest.raises(SignatureError, match="of 1 distinct keys"):
                dsse.verify(ENVELOPE, TYPE, [one, other], threshold=2)

    def test_one_key_may_be_used_with_two_schemes(self) -> None:
        """It signs with either, and is still one."""
        signer = CryptoSigner(rsa.generate_private_key(65537, 2048))
        key = signer.public_key
        both = [key, SSlibKey("other", key.keytype, "rsa-pkcs1v15-sha256", key.keyval)]
        envelope = dsse.sign(PAYLOAD, TYPE, [signer])

        assert dsse.verify(envelope, TYPE, both) == dsse.verify(envelope, TYPE, both[::-1]) == PAYLOAD
        with pytest.raises(SignatureError, match="of 1 distinct keys"):
            dsse.verify(envelope, TYPE, both, threshold=2)

    @pytest.mark.parametrize("threshold", [0, -1, 4])
    def test_a_threshold_that_says_nothing_is_refused(self, threshold: int) -> None:
        """Nothing passes for lack of a demand."""
        with pytest.raises(SignatureError):
            dsse.verify(ENVELOPE, TYPE, KEYS, threshold=threshold)

    def test_without_keys_nothing_verifies(self) -> None:
        """An empty list of keys accepts nobody."""
        with pytest.raises(SignatureError):
            dsse.verify(ENVELOPE, TYPE, [])

    def test_a_key_that_is_none_is_the_callers_fault(self) -> None:
        """It is not passed over, which might leave a threshold that nobody meant."""
        for key in (
            again(KEYS[0], "short", "00ff"),
            again(KEYS[0], "no hexadecimal", "x" * 64),
            SSlibKey("no pem", "rsa", "rsassa-pss-sha256", {"public": "-----BEGIN"}),
        ):
            with pytest.raises(UsageError) as caught:
                dsse.verify(ENVELOPE, TYPE, [*KEYS, key])
            assert caught.value.place == f"key {key.keyid}"


class TestRefused:
    """What does not verify."""

    def test_another_key_is_not_enough(self) -> None:
        """The identifier of an accepted key changes nothing."""
        envelope = dsse.sign(PAYLOAD, TYPE, [SIGNERS[1]])
        with pytest.raises(SignatureError, match="envelope: signed by 0 of the 1 keys"):
            dsse.verify(envelope, TYPE, KEYS[:1])
        with pytest.raises(SignatureError):
            dsse.verify(edited(lambda e: e["signatures"][0].update(keyid=KEYS[0].keyid), envelope), TYPE, KEYS[:1])

    @pytest.mark.parametrize("signatures", [[], [{"sig": ""}], [{"sig": base64.b64encode(bytes(64)).decode()}]])
    def test_an_unsigned_envelope_says_nothing(self, signatures: list[dict[str, str]]) -> None:
        """No signature, an empty one, one of zeros."""
        with pytest.raises(SignatureError):
            dsse.verify(edited(lambda e: e.update(signatures=signatures)), TYPE, KEYS)

    def test_the_payload_is_signed(self) -> None:
        """Every flipped bit of it is seen."""
        for bit in range(8 * len(PAYLOAD)):
            changed = bytearray(PAYLOAD)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(SignatureError):
                dsse.verify(ENVELOPE.replace(base64.b64encode(PAYLOAD), base64.b64encode(changed)), TYPE, KEYS)

    def test_the_payload_type_is_signed(self) -> None:
        """A statement cannot be passed off as something else: neither as it is nor relabelled."""
        other = "application/vnd.dsse.other"
        with pytest.raises(EnvelopeError, match=r"payload type 'application/vnd\.in-toto\+json' where"):
            dsse.verify(ENVELOPE, other, KEYS)
        with pytest.raises(SignatureError):
            dsse.verify(edited(lambda e: e.update(payloadType=other)), other, KEYS)

    @pytest.mark.parametrize("text", ["", "a", "!!!!", "aGVsbG8", "aGVs bG8=", "aGVsbG8=\n", "aGVsbG8==", "é", "=aGVs"])
    def test_what_is_not_base64_is_named(self, text: str) -> None:
        """Blanks, missing or doubled padding, other letters; the place says which."""
        # The empty text is base64 of nothing: unsigned, but well-formed.
        expected = SignatureError if not text else EnvelopeError
        with pytest.raises(expected) as caught:
            dsse.verify(edited(lambda e: e.update(payload=text)), TYPE, KEYS)
        if text:
            assert caught.value.place == "envelope: payload"
            with pytest.raises(EnvelopeError) as caught:
                dsse.verify(edited(lambda e: e["signatures"].append({"sig": text})), TYPE, KEYS)
            assert caught.value.place == "envelope: signatures[1]"

    @pytest.mark.parametrize(
        ("change", "place"),
        [
            (lambda e: e.pop("payload"), "envelope"),
            (lambda e: e.pop("payloadType"), "envelope"),
            (lambda e: e.pop("signatures"), "envelope"),
            (lambda e: e.update(payload=1), "envelope: payload"),
            (lambda e: e.update(signatures={}), "envelope: signatures"),
            (lambda e: e["signatures"][0].pop("sig"), "envelope: signatures[0]"),
            (lambda e: e.update(signatures=e["signatures"] * 33), "envelope: signatures"),
            (lambda e: e["signatures"][0].update(x=[[[[[[[[[]]]]]]]]]), "envelope: character"),
        ],
    )
    def test_a_malformed_envelope_is_named_with_its_place(
        self, change: Callable[[dict[str, Any]], object], place: str
    ) -> None:
        """Missing or mistyped fields, too many signatures, too much depth."""
        with pytest.raises((JsonError, LimitError)) as caught:
            dsse.verify(edited(change), TYPE, KEYS)
        assert str(caught.value.place).startswith(place)

    def test_a_field_may_stand_once(self) -> None:
        """Else two readers might take two different payloads."""
        with pytest.raises(JsonError, match="'payload' stands twice"):
            dsse.verify(ENVELOPE.replace(b"{", b'{"payload":"",', 1), TYPE, KEYS)

    def test_deep_and_large_envelopes_are_refused(self) -> None:
        """Nobody has signed yet what is read here."""
        with pytest.raises(LimitError):
            dsse.verify(b"[" * 100_000, TYPE, KEYS)
        with pytest.raises(LimitError):
            dsse.verify(b" " * (dsse.MAX_BYTES + 1), TYPE, KEYS)

    @given(st.binary(max_size=200) | st.integers(0, len(ENVELOPE) - 2).map(lambda at: ENVELOPE[:at]))
    def test_any_bytes_are_refused_with_an_error_of_ours(self, data: bytes) -> None:
        """Whatever comes in, nothing else comes out."""
        with pytest.raises(EcError):
            dsse.verify(data, TYPE, KEYS)
