"""From what is known of a path to its explanation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_closure.explanation import (
    DiskFacts,
    Explanation,
    LastRun,
    RebuiltFacts,
    RegisteredFacts,
    SignedFacts,
    SourceFacts,
)
from ec_closure.findings import KINDS
from ec_verify.explain.difference import difference
from ec_verify.explain.graph import chain, dependents
from ec_verify.location import base_name
from ec_verify.text import one_line, printable

if TYPE_CHECKING:
    from ec_closure.manifest import Manifest, PathRecord
    from ec_closure.report import RunOutput
    from ec_closure.store_db import PathInfo
    from ec_verify.config import Config
    from ec_verify.judge import Case
    from ec_verify.model import OutputEvidence, TrustOutcome
    from ec_verify.scan.path import PathObservation


@dataclass(frozen=True)
class Known:
    """What is known of a path beside the store: the manifest that lists it, and what the last run saw and said."""

    path: str
    trust: TrustOutcome
    manifest: Manifest | None
    record: PathRecord | None
    last: RunOutput | None
    case: Case | None

    @classmethod
    def of(cls, path: str, trust: TrustOutcome, last: RunOutput | None, case: Case | None) -> Known:
        """Look for *path* in the trusted manifests, that of the running system first."""
        for manifest in (trust.manifest, *trust.others):
            for record in (*manifest.paths, *manifest.contents) if manifest is not None else ():
                if record.path == path:
                    return cls(path, trust, manifest, record, last, case)
        return cls(path, trust, None, None, last, case)

    @property
    def references(self) -> tuple[str, ...]:
        """The signed references."""
        return self.manifest.references_of(self.record) if self.manifest is not None and self.record is not None else ()

    @property
    def rebuilt(self) -> OutputEvidence | None:
        """What the last run's rebuild showed."""
        rebuild = self.case.rebuild if self.case is not None else None
        return rebuild.outputs.get(self.path) if rebuild is not None else None


def explanation(
    known: Known,
    row: PathInfo | None,
    observed: PathObservation,
    config: Config,
    *,
    compare: bool,
    diffoscope: bool = False,
) -> Explanation:
    """Explain a path. With *compare*, bytes that differ from the signed ones are compared file by file."""
    record, rebuilt = known.record, known.rebuilt
    differs = record is not None and observed.nar_hash is not None and observed.nar_hash != record.nar_hash
    manifest = known.manifest
    return Explanation(
        path=known.path,
        words=_words(known, row, observed),
        next=_next(known, row, observed),
        trust={one.code: one_line(one.message) for one in known.trust.problems},
        signed=_signed(known),
        registered=_registered(row),
        on_disk=DiskFacts(
            nar_hash=observed.nar_hash,
            nar_size=observed.nar_size,
            problem=observed.detail or None,
            deserved_path=observed.deserved,
            metadata=tuple(f"{printable(one.relative) or '.'}: {one.detail}" for one in observed.anomalies),
        ),
        rebuilt=_rebuilt(rebuilt),
        source=_source(known),
        last_run=_last(known),
        difference=difference(config, record, diffoscope=diffoscope)
        if compare and differs and record is not None
        else None,
        dependents=dependents(manifest, known.path, known.last.paths if known.last else {}) if manifest else None,
        chain=chain(manifest, known.path, rebuilt.tainted_by) if manifest and rebuilt and rebuilt.tainted_by else (),
    )


def _words(known: Known, row: PathInfo | None, observed: PathObservation) -> str:
    """Return the verdict in a sentence: as it is now, and why it is not better."""
    record = known.record
    if record is None:
        if not known.trust.manifest:
            return "unknown: no trusted manifest is at hand, so nothing says what it should be"
        return (
            "unlisted: registered in the database, but in no trusted manifest"
            if row is not None
            else "extra: in no trusted manifest, and nobody registered it"
        )
    if observed.problem == "missing":
        return "missing: CI signed it, and it is not on the disk"
    if observed.nar_hash is None and observed.problem not in ("unarchivable", "oversized"):
        return f"unchecked: it could not be read: {one_line(observed.detail, 300)}"
    if observed.nar_hash != record.nar_hash:
        rebuilt = known.rebuilt
        again = "; a rebuild gives the signed bytes" if rebuilt and rebuilt.rebuilt == record.nar_hash else ""
        return f"corrupt: the bytes on the disk are not those that CI signed{again}"
    metadata = f"; but {len(observed.anomalies)} entries have strange metadata" if observed.anomalies else ""
    last = known.last.paths.get(known.path) if known.last is not None else None
    why = known.last.reasons.get(known.path, "") if known.last is not None else ""
    detail = f": {one_line(why.partition(chr(10))[0], 300)}" if why else ""
    match last:
        case "rebuilt":
            return f"rebuilt: on disk, signed and rebuilt here, all the same bytes{metadata}"
        case "fixed":
            return f"fixed: the bytes are those that CI signed, and that the path's own name promises{metadata}"
        case "unreproducible" | "inherited" | "unbuildable":
            return f"{last}: the disk is as signed{detail}{metadata}"
    return f"matches: the bytes on the disk are those that CI signed{detail}{metadata}"


def _next(known: Known, row: PathInfo | None, observed: PathObservation) -> str:
    """Return what to do, in one line."""
    record = known.record
    if record is None:
        return KINDS["EV113" if not known.trust.manifest else "EV208" if row is not None else "EV209"].hint
    if observed.problem == "missing":
        return KINDS["EV202"].hint
    if observed.nar_hash != record.nar_hash:
        return (
            "Take the node out of service and keep its disk. If the difference is one flipped bit, suspect the disk or "
            "memory; if it means something, somebody. `nix-store --repair-path` from a trusted cache restores the path."
        )
    if observed.anomalies:
        return "Find out who changed the metadata; `chmod`, `chown` and `setfattr -x` restore what Nix makes."
    rebuilt = known.rebuilt
    if rebuilt is not None and rebuilt.tainted_by:
        return f"Explain the root cause: ec-verify explain {rebuilt.tainted_by[0]}"
    if rebuilt is not None and rebuilt.rebuilt not in (None, record.nar_hash):
        return KINDS["EV501"].hint
    if rebuilt is not None and rebuilt.rebuilt is None:
        return KINDS["EV502"].hint
    if known.last is None:
        return "Nothing is wrong with it on the disk. `ec-verify run --level full` also rebuilds it."
    return "Nothing: it is as it should be."


def _signed(known: Known) -> SignedFacts | None:
    record, manifest = known.record, known.manifest
    if record is None or manifest is None:
        return None
    return SignedFacts(
        release=manifest.release.tag,
        nar_hash=record.nar_hash,
        nar_size=record.nar_size,
        origin=record.origin + (f" ({record.cache})" if record.cache else ""),
        deriver=record.deriver,
        references=known.references,
    )


def _registered(row: PathInfo | None) -> RegisteredFacts | None:
    if row is None:
        return None
    return RegisteredFacts(
        nar_hash=row.nar_hash.sri,
        nar_size=row.nar_size,
        deriver=row.deriver,
        content_address=row.ca,
        signatures=row.signatures,
        references=row.references,
    )


def _rebuilt(seen: OutputEvidence | None) -> RebuiltFacts | None:
    if seen is None:
        return None
    return RebuiltFacts(
        nar_hash=seen.rebuilt,
        derivation=seen.derivation,
        output=seen.output,
        round=seen.round,
        unsound=seen.unsound and one_line(seen.unsound),
        failure=seen.failure and one_line(seen.failure),
        causes=seen.tainted_by,
    )


def _source(known: Known) -> SourceFacts | None:
    evaluation = known.case.evaluation if known.case is not None else None
    if evaluation is None or known.manifest is None or known.manifest is not known.trust.manifest:
        return None
    signed = known.manifest.system.drv_path
    rebuilt = known.rebuilt
    if rebuilt is not None and known.record is not None:
        return SourceFacts(evaluated=rebuilt.derivation, signed=known.record.deriver)
    if known.path == known.manifest.system.out_path:
        return SourceFacts(evaluated=evaluation.drv_path, signed=signed)
    return None


def _last(known: Known) -> LastRun | None:
    last = known.last
    if last is None:
        return None
    reason = last.reasons.get(known.path)
    return LastRun(
        verdict=last.paths.get(known.path, "not in the manifest"),
        reason=one_line(reason) if reason else None,
        findings=tuple(
            one_line(f"{one.code} {one.message}")
            for one in last.findings
            if one.path == known.path or base_name(known.path) in one.message
        ),
    )
