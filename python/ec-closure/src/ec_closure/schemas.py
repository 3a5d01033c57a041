"""JSON Schemas of the published documents, generated from the types that decode them."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from ec_closure.manifest import Manifest
from ec_closure.policy import Policy
from ec_closure.report import ReportStatement, RunOutput

DOCUMENTS = {
    "closure-manifest.v1": Manifest,
    "policy.v1": Policy,
    "report.v1": ReportStatement,
    "run-output.v1": RunOutput,
}


def render(kind: type) -> str:
    """Return the JSON Schema of *kind*, spelt the same every time."""
    return json.dumps(msgspec.json.schema(kind), indent=2, sort_keys=True) + "\n"


def write(directory: Path) -> None:
    """Write every schema into *directory*: `python -m ec_closure.schemas docs/schemas`."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, kind in DOCUMENTS.items():
        (directory / f"{name}.schema.json").write_text(render(kind))


if __name__ == "__main__":
    import sys

    write(Path(sys.argv[1]))
