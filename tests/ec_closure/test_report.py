from __future__ import annotations

import base64
import json
import string
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ec_closure import canonical, report
from ec_closure.errors import BadInputError, EcError, LimitError
from ec_closure.intoto import Subject
from ec_closure.report import (
    VERDICT_LETTERS,
    Coverage,
    Finding,
    Freshness,
    Listed,
    ManifestReference,
    Observed,
    PathVerdict,
    Report,
    ReportError,
    VerifierIdentity,
    pack_verdicts,
    unpack_verdicts,
)
from ec_closure.strict_json import JsonError

if TYPE_CHECKING:
    from collections.abc import Callable

TOPLEVEL = "/nix/store/0000000000000000000000000000000a-system"
SRI = "sha256-" + base64.b64encode(bytes(32)).decode()
SUBJECT = Subject(name=TOPLEVEL, digest={"sha256": "0" * 64})
FINDING = Finding(code="EV201", severity="fail", message="bytes differ", hint="look", path=TOPLEVEL)
FAILED = Report(
    verifier=VerifierIdentity(version="0.1.0", nix="2.31.2"),
    node="node-1",
    policy_digest="1" * 64,
    config_digest="2" * 64,
    node_data_digest="3" * 64,
    toplevel=TOPLEVEL,
    manifest=ManifestReference(digest="4" * 64, target="boot-v1/x.closure.json.zst", tag="boot-v1", version=1),
    level_asked="rebuild",
    level_reached="bytes",
    verdict="failed",
    verdicts=pack_verdicts(["corrupt", "matches", "matches"]),
    counts={"corrupt": 1, "matches": 2},
    differing=(Observed(path=TOPLEVEL, nar_hash=SRI),),
    observed_digest="5" * 64,
    unlisted=Listed(count=2, paths=("a", "b\nc")),
    findings=(FINDING,),
    coverage=(Coverage(step="bytes", status="partly", done=2, total=3, reasons={"a disk error": 1}),),
    freshness=Freshness(lag=1, latest_version=2, metadata_age=60),
    started=1_700_000_000,
    finished=1_700_000_060,
    reference_time=1_700_000_000,
    boot_id="6" * 32,
    counter=7,
    nonce="n" * 16,
)
PASSED = replace(
    FAILED,
    level_reached="rebuild",
    verdict="passed",
    verdicts=pack_verdicts(["rebuilt"] * 3),
    counts={"rebuilt": 3},
    differing=(),
    findings=(replace(FINDING, severity="warn"),),
)
UNDECIDED = Report(
    verifier=VerifierIdentity(version="0.1.0"),
    node="node-1",
    policy_digest="1" * 64,
    config_digest="2" * 64,
    toplevel=TOPLEVEL,
    level_asked="source",
    verdict="undecided",
    started=0,
    finished=0,
    reference_time=0,
)

verdicts = st.lists(st.sampled_from(get_args(PathVerdict)))


def edited(change: Callable[[dict[str, Any]], object], of: Report = FAILED) -> bytes:
    """Return the statement of a report after *change* was made to it."""
    document = json.loads(report.statement(of, SUBJECT))
    change(document)
    return json.dumps(document).encode()


class TestVerdicts:
    """One letter per path."""

    @given(verdicts)
    def test_verdicts_come_back(self, given_verdicts: list[PathVerdict]) -> None:
        """In their order, and the same list always packs to the same text."""
        packed = pack_verdicts(given_verdicts)

        assert unpack_verdicts(packed) == given_verdicts
        assert pack_verdicts(list(given_verdicts)) == packed

    def test_every_verdict_has_a_letter_of_its_own(self) -> None:
        """Printable, so that a report can be read with zstd and a pager."""
        assert set(VERDICT_LETTERS) == set(get_args(PathVerdict))
        assert len(set(VERDICT_LETTERS.values())) == len(VERDICT_LETTERS)
        assert set("".join(VERDICT_LETTERS.values())) <= set(string.printable) - set(string.whitespace)

    def test_the_letters_keep_their_meaning(self) -> None:
        """Reports outlive the program that wrote them."""
        packed = base64.b64encode(canonical.compress(b"RFMCXNIB?U")).decode()

        assert unpack_verdicts(packed) == [
            *("rebuilt", "fixed", "matches", "corrupt", "missing"),
            *("unreproducible", "inherited", "unbuildable", "unchecked", "unchanged"),
        ]

    def test_a_large_closure_packs_small(self) -> None:
        """Mostly one verdict, as closures are."""
        closure: list[PathVerdict] = ["matches"] * 99_999

        assert len(pack_verdicts([*closure, "corrupt"])) < 100

    @pytest.mark.parametrize("letters", ["MMZM", "MM\nM", "MMmM", "MM\xffM"])
    def test_a_letter_without_meaning_is_named_with_its_place(self, letters: str) -> None:
        """The position in the manifest."""
        packed = base64.b64encode(canonical.compress(letters.encode("latin-1"))).decode()
        with pytest.raises(ReportError, match="is no verdict") as caught:
            unpack_verdicts(packed, what="r")

        assert caught.value.place == "r[2]"
        assert caught.value.message.isprintable()

    @pytest.mark.parametrize("packed", ["!", "TQ", "é", "TU1N", pack_verdicts(["matches"])[:-4]])
    def test_what_is_not_packed_is_refused(self, packed: str) -> None:
        """Not base64, not compressed, cut."""
        with pytest.raises(BadInputError, match="verdicts"):
            unpack_verdicts(packed)

    def test_a_bomb_is_refused(self) -> None:
        """No manifest has more paths than a manifest may have."""
        with pytest.raises(LimitError):
            unpack_verdicts(base64.b64encode(canonical.compress(b"M" * 500_001)).decode())


class TestStatement:
    """What nodes sign."""

    @pytest.mark.parametrize("what", [FAILED, PASSED, UNDECIDED], ids=lambda one: one.verdict)
    def test_reads_what_it_writes(self, what: Report) -> None:
        """Whatever the verdict."""
        found = report.decode(report.statement(what, SUBJECT))

        assert found.predicate == what
        assert found.subject == (SUBJECT,)

    def test_a_statement_is_what_the_framework_says(self) -> None:
        """in-toto Statement v1, about the toplevel, with keys in order and the same bytes every time."""
        data = report.statement(FAILED, SUBJECT)
        document = json.loads(data)

        assert {key: document[key] for key in ("_type", "predicateType", "subject")} == {
            "_type": "https://in-toto.io/Statement/v1",
            "predicateType": "https://every.channel/attestation/ec-verify-report/v1",
            "subject": [{"digest": {"sha256": "0" * 64}, "name": TOPLEVEL}],
        }
        assert document["predicate"]["levelAsked"] == "rebuild"
        assert data == json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        assert data == report.statement(msgspec.convert(msgspec.to_builtins(FAILED), Report), SUBJECT)

    def test_the_subject_may_say_more(self) -> None:
        """The framework lets resource descriptors have fields of others."""
        found = report.decode(edited(lambda d: d["subject"][0].update(uri="nix:x", annotations={"a": 1})))

        assert found.predicate == FAILED

    @pytest.mark.parametrize(
        ("change", "place"),
        [
            (lambda d: d.update(_type="https://in-toto.io/Statement/v0.1"), "_type"),
            (lambda d: d.update(predicateType="https://slsa.dev/provenance/v1"), "predicateType"),
            (lambda d: d.pop("predicate"), ""),
            (lambda d: d.update(subject=[]), "subject"),
            (lambda d: d.update(subject=d["subject"] * 2), "subject"),
            (lambda d: d["subject"][0].update(name="/nix/store/other"), "subject"),
            (lambda d: d["subject"][0].update(digest={}), "subject[0].digest"),
            (lambda d: d["predicate"].update(toplevel="/nix/store/other"), "subject"),
            (lambda d: d["predicate"].update(other=1), "predicate"),
            (lambda d: d["predicate"].pop("node"), "predicate"),
            (lambda d: d["predicate"].update(verdict="fine"), "predicate.verdict"),
            (lambda d: d["predicate"].update(levelAsked="bits"), "predicate.levelAsked"),
            (lambda d: d["predicate"].update(counter=-1), "predicate.counter"),
            (lambda d: d["predicate"].update(policyDigest="1" * 63), "predicate.policyDigest"),
            (lambda d: d["predicate"].update(policyDigest="1" * 64 + "\n"), "predicate.policyDigest"),
            (lambda d: d["predicate"].update(nonce="short"), "predicate.nonce"),
            (lambda d: d["predicate"]["findings"][0].update(code="EV2010"), "predicate.findings[0].code"),
            (lambda d: d["predicate"]["findings"][0].update(severity="bad"), "predicate.findings[0].severity"),
            (lambda d: d["predicate"]["differing"][0].update(narHash="x"), "predicate.differing[0].narHash"),
            (lambda d: d["predicate"]["coverage"][0].update(status="half"), "predicate.coverage[0].status"),
            (lambda d: d["predicate"].update(verdicts="!"), "predicate: verdicts"),
        ],
    )  # fmt: skip
    def test_a_malformed_report_is_named_with_its_place(
        self, change: Callable[[dict[str, Any]], object], place: str
    ) -> None:
        """Types, fields that nobody knows, and a subject that is not what the report is about."""
        with pytest.raises(BadInputError) as caught:
            report.decode(edited(change))

        assert caught.value.place == f"report: {place}".removesuffix(": ")

    @pytest.mark.parametrize(
        ("broken", "place"),
        [
            (replace(FAILED, verdicts=""), "verdicts"),
            (replace(FAILED, manifest=None), "verdicts"),
            (replace(UNDECIDED, verdicts=FAILED.verdicts, counts=FAILED.counts), "verdicts"),
            (replace(FAILED, counts={}), "counts"),
            (replace(FAILED, counts={"corrupt": 1, "matches": 3}), "counts"),
            (replace(FAILED, counts={"corrupt": 1, "matches": 2, "rebuilt": 0}), "counts"),
            (replace(UNDECIDED, counts={"matches": 1}), "counts"),
            (replace(FAILED, findings=()), "verdict"),
            (replace(FAILED, findings=PASSED.findings), "verdict"),
            (replace(PASSED, findings=FAILED.findings), "verdict"),
            (replace(UNDECIDED, findings=FAILED.findings), "verdict"),
            (replace(PASSED, level_reached="source"), "verdict"),
            (replace(PASSED, level_reached=None), "verdict"),
            (replace(UNDECIDED, verdict="passed", level_reached="source"), "verdict"),
        ],
    )
    def test_a_report_that_contradicts_itself_is_refused(self, broken: Report, place: str) -> None:
        """It cannot count as passed what its own findings fail, nor count other verdicts than it lists."""
        with pytest.raises(ReportError) as caught:
            report.decode(report.statement(broken, SUBJECT), what="r")

        assert caught.value.place == f"r: predicate: {place}"

    def test_a_key_may_stand_once(self) -> None:
        """Else a report might have two verdicts."""
        data = report.statement(FAILED, SUBJECT).replace(b'"verdict":', b'"verdict":"passed","verdict":')
        with pytest.raises(JsonError, match="'verdict' stands twice"):
            report.decode(data)

    def test_deep_and_large_reports_are_refused(self) -> None:
        """Nodes are trusted to sign, not to be sound."""
        with pytest.raises(LimitError):
            report.decode(edited(lambda d: d["predicate"].update(node=[[[[[[[[[[[["x"]]]]]]]]]]]])))
        with pytest.raises(LimitError):
            report.decode(b"[" * 100_000)
        with pytest.raises(LimitError):
            report.decode(b" " * (report.MAX_BYTES + 1))

    @given(st.binary(max_size=100), st.integers(0), st.integers(0, 7))
    def test_any_bytes_are_refused_with_an_error_of_ours(self, noise: bytes, at: int, bit: int) -> None:
        """Noise, and a report with one bit changed, which is another report or none."""
        data = bytearray(report.statement(FAILED, SUBJECT))
        data[at % len(data)] ^= 1 << bit
        with pytest.raises(EcError):
            report.decode(noise)
        try:
            assert report.decode(bytes(data)) != report.decode(report.statement(FAILED, SUBJECT))
        except EcError:
            return
