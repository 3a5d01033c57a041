"""DSSE envelopes and the reports in them: only what was signed comes out of an envelope."""

from __future__ import annotations

import base64
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tests.fuzz.mutate import twist_json, twist_value
from tests.fuzz.target import Target, hold

from ec_closure import dsse, intoto, report
from ec_closure.errors import BadInputError, TrustError

if TYPE_CHECKING:
    from random import Random

_TOPLEVEL = "/nix/store/0000000000000000000000000000000a-system"
_SIGNED: set[bytes] = set()
_WORDS = (
    b"{", b"}", b'"', b"\\u0000", b"\\ud800", b"[" * 50, b"null", b'"sig":', b'"keyid":', b'"payload":', b'"payloadType":', b"==", b"-_",
    b"1e999", b"NaN", b"\xff", b"\xef\xbb\xbf", b'"severity":"fail"', b'"verdict":"passed"', b"KLUv/SQB",
)  # fmt: skip


@cache
def _signers() -> list[CryptoSigner]:
    return [CryptoSigner(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)) for seed in (1, 2)]


def _verify(data: bytes) -> None:
    keys = [signer.public_key for signer in _signers()]
    payload = dsse.verify(data, intoto.PAYLOAD_TYPE, keys[:1])
    hold(payload in _SIGNED, "a payload that was never signed")
    _decode(payload)


def _decode(data: bytes) -> None:
    found = report.decode(data)
    said = found.predicate
    verdicts = report.unpack_verdicts(said.verdicts)
    hold(len(verdicts) == sum(said.counts.values()), "the counts are not those of the verdicts")
    hold(not (said.verdict == "passed" and said.manifest is None), "passed without a manifest")
    subject = found.subject[0]
    hold(
        report.decode(report.statement(said, subject)).predicate == said, "says something else when it is written again"
    )


def _report(random: Random) -> bytes:
    verdicts = [random.choice(list(report.VERDICT_LETTERS)) for _ in range(random.randrange(6))]
    failed = random.random() < 0.5
    finding = report.Finding(
        code="EV201", severity="fail" if failed else "warn", message="differs", hint="look", path=_TOPLEVEL
    )
    reference = report.ManifestReference(digest="4" * 64, target="v1/x.closure.json.zst", tag="v1", version=1)
    made = report.Report(
        verifier=report.VerifierIdentity(version="0.1.0"),
        node="node-1",
        policy_digest="1" * 64,
        config_digest="2" * 64,
        toplevel=_TOPLEVEL,
        manifest=reference if verdicts else None,
        level_asked="bytes",
        level_reached=random.choice((None, "bytes")),
        verdict="failed" if failed else "undecided",
        verdicts=report.pack_verdicts(verdicts),
        counts={verdict: verdicts.count(verdict) for verdict in verdicts},
        findings=(finding,) * random.randrange(1, 3),
        coverage=(report.Coverage(step="bytes", status="partly", reasons={"a disk error": 1}),),
        started=1,
        finished=2,
        reference_time=3,
        counter=random.randrange(2**53),
        nonce=random.choice((None, "n" * 16)),
    )
    return report.statement(made, intoto.Subject(name=_TOPLEVEL, digest={"sha256": "0" * 64}))


def _envelope(random: Random) -> bytes:
    payload = _report(random)
    if random.random() < 0.3:
        payload = twist_json(random, payload)
    if random.random() < 0.8:
        _SIGNED.add(payload)
        return dsse.sign(payload, intoto.PAYLOAD_TYPE, _signers()[: random.choice((1, 1, 2))])
    return dsse.sign(payload, random.choice((intoto.PAYLOAD_TYPE, "text/x")), _signers()[1:])


def _twist_envelope(random: Random, data: bytes) -> bytes:
    """Change the envelope, or what it carries."""
    if random.random() < 0.5:
        return twist_json(random, data)
    try:
        document: Any = msgspec.json.decode(data)
        payload = twist_json(random, base64.b64decode(document["payload"]))
        document["payload"] = base64.b64encode(payload).decode()
        return msgspec.json.encode(twist_value(random, document) if random.random() < 0.2 else document)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, IndexError, RecursionError):
        return data


DSSE = Target("dsse", _verify, _envelope, _twist_envelope, (BadInputError, TrustError), _WORDS, suite=1000)
REPORT = Target("report", _decode, _report, twist_json, (BadInputError,), _WORDS)
