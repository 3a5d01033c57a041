"""The bill of materials of a system of 100,000 paths, in a process of its own: processor time and memory."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.judge import synthetic

from ec_closure import manifest
from ec_release.attesting import cyclonedx, sbom

_COUNT = 100_000
_STAGES = (
    ("decode", "manifest decoded and validated"),
    ("make", "bill made and written"),
    ("read", "bill read"),
    ("compare", "bill compared with the manifest"),
)


def case(directory: Path, rounds: int) -> str:
    """Return the figures."""
    file = directory / "system.closure.json.zst"
    file.write_bytes(manifest.encode(synthetic(_COUNT)))
    runs = []
    for _ in range(rounds + 1):
        argv = [sys.executable, "-m", "tests.bench.sbom", str(file)]
        runs.append(json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout))
    del runs[0]
    size = runs[0]["size"] >> 20
    lines = [
        f"### Bill of materials of {_COUNT} paths, {size} MiB of JSON",
        "",
        "| stage | processor s, median | min | max |",
        "| --- | --- | --- | --- |",
    ]
    for name, title in _STAGES:
        taken = [run[name] for run in runs]
        lines.append(f"| {title} | {statistics.median(taken):.3f} | {min(taken):.3f} | {max(taken):.3f} |")
    return "\n".join(lines) + f"\n\nAt most {max(run['peak'] for run in runs) >> 10} MiB of memory.\n"


def _measure(file: Path) -> dict[str, float]:
    """Do each stage once; return seconds, the size in bytes and the peak in KiB."""
    data = file.read_bytes()
    taken: dict[str, float] = {}
    begin = time.process_time()
    described = manifest.decode(data)
    taken["decode"] = time.process_time() - begin
    begin = time.process_time()
    written = cyclonedx.encode(sbom.make(described, tool_version="0"))
    taken["make"] = time.process_time() - begin
    begin = time.process_time()
    read = cyclonedx.decode(written, what="x")
    taken["read"] = time.process_time() - begin
    begin = time.process_time()
    sbom.compare(read, described, what="x")
    taken["compare"] = time.process_time() - begin
    return taken | {"size": len(written), "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measure(Path(sys.argv[1]))))
