"""Decoding and judging a manifest of 100,000 paths, in a process of its own: seconds and memory."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from ec_closure import canonical, manifest
from ec_closure.hashes import Hash
from ec_closure.manifest import Builder, Manifest, PathRecord, Release, Source, System
from ec_closure.nix32 import encode
from ec_closure.policy import Policy
from ec_closure.store_db import PathInfo
from ec_verify.judge import Case, judge
from ec_verify.model import Observation, TrustOutcome
from ec_verify.observe.running import Running
from ec_verify.scan.path import PathObservation

_COUNT = 100_000
_REFERENCES = 8
_TIME = 1_700_000_000


def case(directory: Path, rounds: int) -> str:
    """Return the figures. What is judged was built in memory by the same process, which counts as memory alone."""
    file = directory / "system.closure.json.zst"
    file.write_bytes(canonical.compress(canonical.encode(synthetic(_COUNT))))
    runs = []
    for _ in range(rounds + 1):
        argv = [sys.executable, "-m", "tests.bench.judge", str(file)]
        runs.append(json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout))
    del runs[0]
    lines = [
        f"### Judging a manifest of {_COUNT} paths, {file.stat().st_size >> 20} MiB compressed",
        "",
        "| stage | median s | min | max | target s |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, title, target in (
        ("decode", "decoded and validated", 1),
        ("judge", "judged", "-"),
        ("both", "both", 2),
    ):
        taken = [run[name] for run in runs]
        lines.append(f"| {title} | {statistics.median(taken):.3f} | {min(taken):.3f} | {max(taken):.3f} | {target} |")
    peak = max(run["peak"] for run in runs)
    return "\n".join(lines) + f"\n\nAt most {peak >> 10} MiB of memory; the target is 1024 MiB.\n"


def synthetic(count: int) -> Manifest:
    """Return a manifest of *count* paths, the same each time, of which each refers to some that come before it."""
    chance = random.Random(count)  # noqa: S311 - the same graph each time
    made = [(f"/nix/store/{encode(_digest(number)[:20])}-package-{number}", number) for number in range(count)]
    # The last one is the system: it refers to all that nobody else does.
    position = {number: at for at, (_, number) in enumerate(sorted(made))}
    unused: set[int] = set()
    references: dict[int, set[int]] = {}
    for number in range(count):
        below = {chance.randrange(number) for _ in range(_REFERENCES - 1)} if number else set()
        references[number] = below | {number} | (unused if number == count - 1 else set())
        unused = (unused - below) | {number}
    records = [
        PathRecord(
            path=path,
            nar_hash=_sri(number),
            nar_size=1000 + number,
            references=tuple(sorted(position[other] for other in references[number])),
            deriver=f"{path}.drv",
            output="out",
            origin="built",
        )
        for path, number in sorted(made)
    ]
    system = made[-1][0]
    source = f"/nix/store/{encode(_digest(-1)[:20])}-source"
    return Manifest(
        release=Release(tag="v1", version=1, issued=_TIME),
        source=Source(nar_hash=_sri(-1), store_path=source),
        system=System(name="system", attr="system", platform="x86_64-linux", drv_path=f"{system}.drv", out_path=system),
        builder=Builder(nix="2.8.0", sandbox=True, platform="x86_64-linux"),
        paths=tuple(records),
    )


def observed(signed: Manifest) -> Observation:
    """Return what is seen of a node on which all of *signed* lies untouched."""
    top = signed.system.out_path
    return Observation(
        running=Running(top, top, top),
        mounts=(),
        rows={
            record.path: PathInfo(
                path=record.path,
                nar_hash=Hash.parse(record.nar_hash),
                nar_size=record.nar_size,
                references=signed.references_of(record),
            )
            for record in signed.paths
        },
        entries=(),
        paths={record.path: PathObservation(record.path, record.nar_hash, record.nar_size) for record in signed.paths},
    )


def measure(file: Path) -> dict[str, float]:
    """Decode *file*, judge an untouched node by it, and return seconds and the peak of memory in KiB."""
    data = file.read_bytes()
    start = time.perf_counter()
    signed = manifest.decode(data)
    decoded = time.perf_counter() - start
    seen = observed(signed)
    trust = TrustOutcome(manifest=signed, manifest_digest="0" * 64, target="system", latest_version=1, metadata_age=0)
    whole = Case("bytes", Policy(), _TIME, "/nix/store", trust, seen)
    start = time.perf_counter()
    judgement = judge(whole)
    judged = time.perf_counter() - start
    if any(finding.severity == "fail" for finding in judgement.findings):
        raise RuntimeError(f"not good: {judgement.findings[:3]}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"decode": decoded, "judge": judged, "both": decoded + judged, "peak": peak}


def _digest(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def _sri(number: int) -> str:
    return "sha256-" + base64.b64encode(_digest(number)).decode()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]))))
