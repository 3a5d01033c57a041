from __future__ import annotations

import json

import msgspec
import pytest
from securesystemslib.signer import CryptoSigner

from ec_closure import dsse, intoto, vsa
from ec_closure.intoto import Statement, Subject
from ec_closure.vsa import Descriptor, Summary, Verifier

SUBJECT = Subject(name="/nix/store/x-system", digest={"sha256": "0" * 64})
SUMMARY = Summary(
    verifier=Verifier(id="https://every.channel/ec-verify", version={"ec-verify": "0.1.0"}),
    time_verified="2026-01-02T03:04:05Z",
    resource_uri="nix:/nix/store/x-system",
    policy=Descriptor(uri="policy.toml", digest={"sha256": "1" * 64}),
    input_attestations=(Descriptor(uri="boot-v1/x.closure.json.zst", digest={"sha256": "2" * 64}),),
    verification_result="PASSED",
    verified_levels=("EC_VERIFY_REBUILD",),
)


def test_a_summary_is_what_the_specification_says() -> None:
    """SLSA verification summary v1 inside an in-toto statement v1, field by field."""
    assert json.loads(intoto.encode(vsa.statement(SUMMARY, SUBJECT))) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "/nix/store/x-system", "digest": {"sha256": "0" * 64}}],
        "predicateType": "https://slsa.dev/verification_summary/v1",
        "predicate": {
            "verifier": {"id": "https://every.channel/ec-verify", "version": {"ec-verify": "0.1.0"}},
            "timeVerified": "2026-01-02T03:04:05Z",
            "resourceUri": "nix:/nix/store/x-system",
            "policy": {"uri": "policy.toml", "digest": {"sha256": "1" * 64}},
            "inputAttestations": [{"uri": "boot-v1/x.closure.json.zst", "digest": {"sha256": "2" * 64}}],
            "verificationResult": "PASSED",
            "verifiedLevels": ["EC_VERIFY_REBUILD"],
            "slsaVersion": "1.0",
        },
    }


def test_the_same_summary_has_the_same_bytes() -> None:
    """Keys are sorted, so that its digest can be cited."""
    data = intoto.encode(vsa.statement(SUMMARY, SUBJECT))

    assert data == json.dumps(json.loads(data), sort_keys=True, separators=(",", ":")).encode()


def test_a_summary_reads_back_through_an_envelope() -> None:
    """Signed, verified, decoded: what a reader of ours would do."""
    signer = CryptoSigner.generate_ed25519()
    envelope = dsse.sign(intoto.encode(vsa.statement(SUMMARY, SUBJECT)), intoto.PAYLOAD_TYPE, [signer])
    payload = dsse.verify(envelope, intoto.PAYLOAD_TYPE, [signer.public_key])
    statement = msgspec.json.decode(payload, type=Statement)

    assert statement.subject == (SUBJECT,)
    assert msgspec.convert(statement.predicate, Summary) == SUMMARY


@pytest.mark.parametrize("result", ["passed", "UNDECIDED", "", None])
def test_a_summary_says_passed_or_failed(result: str | None) -> None:
    """What is undecided has no summary."""
    document = msgspec.to_builtins(SUMMARY)
    document["verificationResult"] = result
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(document, Summary)


@pytest.mark.parametrize("subject", [[], [{"name": "x", "digest": {}}], [{"name": "x"}]])
def test_a_statement_is_about_something(subject: list[object]) -> None:
    """A statement without a subject, or with one that no digest holds fast, says nothing."""
    document = msgspec.to_builtins(vsa.statement(SUMMARY, SUBJECT))
    document["subject"] = subject
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(document, Statement)
