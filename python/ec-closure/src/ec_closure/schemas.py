"""JSON Schemas of the published documents, generated from the types that decode them.

A schema says what the types say. What holds between the parts of a document is checked by its `decode`.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import msgspec

from ec_closure.audit import Audit
from ec_closure.broadcast import Broadcast
from ec_closure.courier import FetchOutput, SubmitOutput
from ec_closure.evidence import EvidenceCheck, EvidenceIndex
from ec_closure.explanation import Explanation
from ec_closure.history import History
from ec_closure.manifest import Manifest
from ec_closure.node_config import NodeApplied, NodeConfig
from ec_closure.policy import Policy
from ec_closure.policy_lint import PolicyCheck
from ec_closure.policy_words import PolicyExplanation
from ec_closure.release_gate import Judgement
from ec_closure.report import ReportStatement, RunOutput

DIALECT = "https://json-schema.org/draft/2020-12/schema"

DOCUMENTS = {
    "audit.v1": Audit,
    "broadcast.v1": Broadcast,
    "closure-manifest.v1": Manifest,
    "history.v1": History,
    "evidence.v1": EvidenceIndex,
    "evidence-check.v1": EvidenceCheck,
    "explain.v1": Explanation,
    "node.v1": NodeConfig,
    "node-applied.v1": NodeApplied,
    "fetch.v1": FetchOutput,
    "policy.v1": Policy,
    "policy-check.v1": PolicyCheck,
    "policy-explanation.v1": PolicyExplanation,
    "release-gate.v1": Judgement,
    "report.v1": ReportStatement,
    "run-output.v1": RunOutput,
    "submit.v1": SubmitOutput,
}


def render(kind: type) -> str:
    """Return the JSON Schema of *kind*, spelt the same every time."""
    schema = {"$schema": DIALECT, **msgspec.json.schema(kind)}
    for part in schema["$defs"].values():
        # Docstrings become descriptions; which Python compiled them decides whether they are indented.
        part["description"] = inspect.cleandoc(part["description"])
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def write(directory: Path) -> None:
    """Write every schema into *directory*: `python -m ec_closure.schemas docs/schemas`."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, kind in DOCUMENTS.items():
        (directory / f"{name}.schema.json").write_text(render(kind), encoding="utf-8")


if __name__ == "__main__":
    import sys

    write(Path(sys.argv[1]))
