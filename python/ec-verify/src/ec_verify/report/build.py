"""From a judgement to the signed statement. Pure but for the key."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from ec_closure import dsse, intoto, vsa
from ec_closure.hashes import Hash
from ec_closure.intoto import Subject
from ec_closure.report import (
    ManifestReference,
    Report,
    RunOutput,
    VerifierIdentity,
    pack_verdicts,
    statement,
)
from ec_verify.report.listing import listed

if TYPE_CHECKING:
    from datetime import datetime

    from securesystemslib.signer import Signer

    from ec_verify.config import Settings
    from ec_verify.run import Outcome


@dataclass(frozen=True)
class Occasion:
    """What is particular to one report: when, and the numbers against replay."""

    started: datetime
    finished: datetime
    boot_id: str | None
    counter: int
    nonce: str | None
    evidence_digest: str | None = None


def build(settings: Settings, outcome: Outcome, occasion: Occasion) -> RunOutput:
    """Return the report with the verdict of each path in words; `signed` leaves these out again."""
    case, judgement = outcome.case, outcome.judgement
    manifest = case.manifest
    findings, left_out = listed(judgement.findings)
    reference = None
    if manifest is not None:
        reference = ManifestReference(
            digest=case.trust.manifest_digest,
            target=case.trust.target,
            tag=manifest.release.tag,
            version=manifest.release.version,
        )
    return RunOutput(
        verifier=VerifierIdentity(version=version("ec-verify"), nix=outcome.nix_version),
        node=settings.config.name,
        policy_digest=settings.policy_digest,
        config_digest=settings.config_digest,
        node_data_digest=settings.node_data_digest,
        toplevel=case.observation.running.current or "none",
        manifest=reference,
        level_asked=case.level,
        level_reached=judgement.level_reached,
        verdict=judgement.verdict,
        verdicts=pack_verdicts([one.verdict for one in judgement.paths]) if judgement.paths else "",
        counts=judgement.counts,
        differing=judgement.differing,
        rebuilt_differing=judgement.rebuilt_differing,
        observed_digest=judgement.observed_digest,
        evidence_digest=occasion.evidence_digest,
        unlisted=judgement.unlisted,
        extra=judgement.extra,
        causes=judgement.causes,
        findings=findings,
        left_out=left_out,
        coverage=judgement.coverage,
        freshness=judgement.freshness,
        reading=judgement.reading,
        started=int(occasion.started.timestamp()),
        finished=int(occasion.finished.timestamp()),
        reference_time=case.time,
        boot_id=occasion.boot_id,
        counter=occasion.counter,
        nonce=occasion.nonce,
        paths={one.record.path: one.verdict for one in judgement.paths},
        reasons={one.record.path: one.reason for one in judgement.paths if one.reason},
    )


def subject(outcome: Outcome) -> Subject:
    """Return what the report is about: the running toplevel, by the SHA-256 of its NAR as it lies on the disk.

    Where its bytes could not be read there is no such digest, and the store path stands for itself.
    """
    toplevel = outcome.case.observation.running.current or "none"
    seen = outcome.case.observation.paths.get(toplevel)
    if seen is None or seen.nar_hash is None:
        return Subject(name=toplevel, digest={"nixStorePath": toplevel})
    return Subject(name=toplevel, digest={"sha256": Hash.parse(seen.nar_hash).base16})


def signed(output: RunOutput, about: Subject, signer: Signer) -> bytes:
    """Return the DSSE envelope of the report."""
    fields = {name: getattr(output, name) for name in Report.__struct_fields__}
    return dsse.sign(statement(Report(**fields), about), intoto.PAYLOAD_TYPE, [signer], introduce=True)


def signed_summary(output: RunOutput, about: Subject, signer: Signer, report_digest: str) -> bytes | None:
    """Return the envelope of a SLSA VSA beside a report that passed, None for any other."""
    if output.verdict != "passed" or output.manifest is None:
        return None
    import datetime

    when = datetime.datetime.fromtimestamp(output.finished, datetime.UTC)
    summary = vsa.Summary(
        verifier=vsa.Verifier(id="https://every.channel/ec-verify", version={"ec-verify": output.verifier.version}),
        time_verified=when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        resource_uri=f"nix:{about.name}",
        policy=vsa.Descriptor(uri="policy.toml", digest={"sha256": output.policy_digest}),
        input_attestations=(
            vsa.Descriptor(uri=output.manifest.target, digest={"sha256": output.manifest.digest}),
            vsa.Descriptor(uri="report.json", digest={"sha256": report_digest}),
        ),
        verification_result="PASSED",
        verified_levels=(f"EC_VERIFY_{(output.level_reached or 'none').upper()}",),
    )
    return dsse.sign(intoto.encode(vsa.statement(summary, about)), intoto.PAYLOAD_TYPE, [signer])
