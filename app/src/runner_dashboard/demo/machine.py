"""One machine of the demonstration: it has a key, boots, counts, and signs reports as a verifier does."""

from __future__ import annotations

import base64
import hashlib
import uuid
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from securesystemslib.signer import CryptoSigner

from ec_closure import dsse, intoto
from ec_closure import manifest as closure
from ec_closure.findings import KINDS
from ec_closure.report import (
    Coverage,
    Finding,
    Freshness,
    ManifestReference,
    Observed,
    Report,
    VerifierIdentity,
    pack_verdicts,
    statement,
)

if TYPE_CHECKING:
    from ec_closure.policy import Level
    from ec_closure.report import PathVerdict

_NAMES = ("system", "kernel", "initrd", "systemd", "glibc", "openssl", "publisher", "etc", "activate", "ffmpeg", "nix")
_MINUTE = 60
_DAY = 86_400
_ISSUED = 1_789_000_000


def sri(text: str) -> str:
    """Return a hash as manifests write it, of *text*."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def store_path(name: str, seed: str) -> str:
    """Return a store path called *name*, which *seed* decides."""
    digits = "0123456789abcdfghijklmnpqrsvwxyz"
    part = "".join(digits[byte % 32] for byte in hashlib.sha256(f"{name} {seed}".encode()).digest())
    return f"/nix/store/{part}-{name}"


@dataclass(frozen=True)
class Release:
    """A release of a system that nobody built: *version* counts, *tag* names it."""

    version: int
    size: int = len(_NAMES)

    @property
    def tag(self) -> str:
        """Its tag."""
        return f"boot-v{self.version}"

    @property
    def paths(self) -> list[str]:
        """Its store paths, in the order of its manifest."""
        names = [*_NAMES, *(f"library-{number}" for number in range(len(_NAMES), self.size))]
        return sorted(store_path(f"{name}-{self.version}", self.tag) for name in names)

    @property
    def toplevel(self) -> str:
        """Its toplevel."""
        return store_path(f"{_NAMES[0]}-{self.version}", self.tag)

    @property
    def manifest(self) -> bytes:
        """Its manifest, as it would be published: the toplevel refers to everything."""
        return _manifest(self)

    @property
    def reference(self) -> ManifestReference:
        """How reports name its manifest."""
        digest = hashlib.sha256(self.manifest).hexdigest()
        return ManifestReference(
            digest=digest, target=f"{self.tag}/runner.closure.json.zst", tag=self.tag, version=self.version
        )


@cache
def _manifest(release: Release) -> bytes:
    paths = release.paths
    record = closure.PathRecord
    system = store_path("system.drv", release.tag)
    return closure.encode(
        closure.Manifest(
            release=closure.Release(tag=release.tag, version=release.version, issued=_ISSUED + release.version * _DAY),
            source=closure.Source(nar_hash=sri("source"), store_path=store_path("source", release.tag)),
            system=closure.System(
                name="ec-runner-x86_64",
                attr="nixosConfigurations.ec-runner-x86_64.config.system.build.toplevel",
                platform="x86_64-linux",
                drv_path=system,
                out_path=release.toplevel,
            ),
            builder=closure.Builder(nix="2.31.2", sandbox=True, platform="x86_64-linux"),
            paths=tuple(
                record(
                    path=path,
                    nar_hash=sri(path),
                    nar_size=4096 + 96 * position,
                    references=tuple(range(len(paths))) if path == release.toplevel else (),
                    deriver=system if path == release.toplevel else store_path(f"{path[44:]}.drv", release.tag),
                    output="out",
                    origin="built" if path == release.toplevel or position % 3 else "substituted",
                    cache=None if path == release.toplevel or position % 3 else "cache.example.org-1",
                )
                for position, path in enumerate(paths)
            ),
        )
    )


def finding(code: str, message: str, path: str | None = None) -> Finding:
    """Return a finding as the catalogue has it."""
    kind = KINDS[code]
    return Finding(code=code, severity=kind.severity, message=message, hint=kind.hint, path=path)


@dataclass
class Machine:
    """A machine called *name* that runs *release*. *counter* numbers its reports, *boot_id* is this boot's."""

    name: str
    release: Release
    signer: CryptoSigner = field(default_factory=CryptoSigner.generate_ed25519)
    boot_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    counter: int = 0

    @property
    def public_key(self) -> str:
        """Its key, in hexadecimal."""
        key: str = self.signer.public_key.keyval["public"]
        return key

    def boot(self) -> None:
        """Boot again."""
        self.boot_id = str(uuid.uuid4())

    def passed(self, now: int, *, verdict: PathVerdict = "rebuilt", latest: int | None = None) -> Report:
        """Return the next report of a machine on which nothing is wrong. *latest* is the newest release's version."""
        self.counter += 1
        paths = self.release.paths
        newest = max(latest or self.release.version, self.release.version)
        level: Level = "rebuild" if verdict == "rebuilt" else "bytes"
        return Report(
            verifier=VerifierIdentity(version=version("runner-dashboard"), nix="2.31.2"),
            node=self.name,
            policy_digest="1" * 64,
            config_digest="2" * 64,
            toplevel=self.release.toplevel,
            manifest=self.release.reference,
            level_asked=level,
            level_reached=level,
            verdict="passed",
            verdicts=pack_verdicts([verdict] * len(paths)),
            counts={verdict: len(paths)},
            observed_digest=hashlib.sha256(f"observed {self.release.tag}".encode()).hexdigest(),
            coverage=(Coverage(step="bytes", status="done", done=len(paths), total=len(paths)),),
            freshness=Freshness(lag=newest - self.release.version, latest_version=newest, metadata_age=_MINUTE),
            started=now - _MINUTE,
            finished=now,
            reference_time=now,
            boot_id=self.boot_id,
            counter=self.counter,
        )

    def altered(self, report: Report, position: int, seed: str) -> Report:
        """Return *report* of a disk on which the path at *position* has other bytes, which *seed* decides."""
        path = self.release.paths[position]
        verdicts: list[PathVerdict] = ["matches"] * len(self.release.paths)
        verdicts[position] = "corrupt"
        return replace(
            report,
            verdict="failed",
            level_reached="bytes",
            verdicts=pack_verdicts(verdicts),
            counts={"matches": len(verdicts) - 1, "corrupt": 1},
            differing=(Observed(path=path, nar_hash=sri(seed)),),
            observed_digest=hashlib.sha256(f"{report.observed_digest} {seed}".encode()).hexdigest(),
            findings=(finding("EV201", f"{path} is not what CI signed", path),),
        )

    def sign(self, report: Report, **options: Any) -> bytes:
        """Return the envelope of *report*, as the node sends it."""
        about = intoto.Subject(name=report.toplevel, digest={"sha256": hashlib.sha256(b"nar").hexdigest()})
        introduced = {"introduce": True} | options
        return dsse.sign(statement(report, about), intoto.PAYLOAD_TYPE, [self.signer], **introduced)
