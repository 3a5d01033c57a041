from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from ec_closure import schemas
from ec_closure.evidence import CheckedStep, EvidenceCheck, EvidenceIndex
from ec_closure.explanation import (
    Dependents,
    DiskFacts,
    Entry,
    Explanation,
    FileDifference,
    LastRun,
    RebuiltFacts,
    RegisteredFacts,
    SignedFacts,
    SourceFacts,
)
from ec_closure.manifest import BootFile, Builder, FlakeInput, Manifest, PathRecord, Release, Source, System
from ec_closure.policy import Policy
from ec_closure.report import Coverage, Finding, ManifestReference, Observed, Report, RunOutput, VerifierIdentity

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "docs" / "schemas"

PATH = "/nix/store/0000000000000000000000000000000a-system"
DRV = f"{PATH}.drv"
SRI = "sha256-" + "A" * 43 + "="
MANIFEST = Manifest(
    release=Release(tag="boot-v1", version=1, issued=0),
    source=Source(nar_hash=SRI, store_path=PATH, inputs={"nixpkgs": FlakeInput(nar_hash=SRI, store_path=PATH)}),
    system=System(name="s", attr="a", platform="x86_64-linux", drv_path=DRV, out_path=PATH),
    builder=Builder(nix="2.31", sandbox=True, platform="x86_64-linux"),
    paths=(
        PathRecord(path=PATH, nar_hash=SRI, nar_size=1, references=(0,), deriver=DRV, output="out", origin="built"),
    ),
    boot=(BootFile(name="kernel", store_path=PATH, sha256="0" * 64, size=1),),
)
REPORT = Report(
    verifier=VerifierIdentity(version="0.1.0"),
    node="node-1",
    policy_digest="1" * 64,
    config_digest="2" * 64,
    toplevel=PATH,
    manifest=ManifestReference(digest="4" * 64, target="t", tag="boot-v1", version=1),
    level_asked="rebuild",
    verdict="failed",
    differing=(Observed(path=PATH, nar_hash=SRI),),
    findings=(Finding(code="EV201", severity="fail", message="m", hint="h"),),
    coverage=(Coverage(step="bytes", status="done", reasons={"r": 1}),),
    started=0,
    finished=0,
    reference_time=0,
    nonce="n" * 16,
)
STATEMENT = {
    "_type": "https://in-toto.io/Statement/v1",
    "predicateType": "https://every.channel/attestation/ec-verify-report/v1",
    "subject": [{"name": PATH, "digest": {"sha256": "0" * 64}}],
    "predicate": msgspec.to_builtins(REPORT),
}
RUN_OUTPUT = msgspec.to_builtins(
    RunOutput(**{name: getattr(REPORT, name) for name in Report.__struct_fields__}, paths={PATH: "corrupt"})
)
POLICY = {"level": "full", "severity": {"EV201": "warn"}, "unreproducible": [
    {"pattern": "*", "owner": "o", "reason": "r", "expires": "2026-01-01"}
]}  # fmt: skip
EVIDENCE = EvidenceIndex(members={"policy.toml": "0" * 64}, manifests=("v1/x",), has_manifest=True, refreshed=0)
CHECK = EvidenceCheck(
    outcome="verified",
    verdict="passed",
    level_asked="full",
    node="node-1",
    node_key="0" * 64,
    toplevel=PATH,
    reference_time=0,
    judged_at=0,
    steps=(CheckedStep(step="container", result="holds", detail="d"),),
)
EXPLANATION = Explanation(
    path=PATH,
    words="corrupt: it differs",
    next="Take it out of service.",
    trust={"EV104": "no server"},
    signed=SignedFacts(release="v1", nar_hash=SRI, nar_size=1, origin="built", references=(PATH,)),
    registered=RegisteredFacts(nar_hash=SRI, nar_size=1),
    on_disk=DiskFacts(nar_hash=SRI, nar_size=1, metadata=(".: mode 0777",)),
    rebuilt=RebuiltFacts(nar_hash=SRI, derivation=DRV, output="out", round=1),
    source=SourceFacts(evaluated=DRV, signed=DRV),
    last_run=LastRun(verdict="corrupt", findings=("EV201 x",)),
    difference=FileDifference(
        left="signed", right="disk", source="cache", count=1, entries=(Entry(path="bin", kind="added", right="a file"),)
    ),
    dependents=Dependents(direct=1, transitive=2, affected=(PATH,)),
    chain=(PATH,),
)
TAGGED = {"closure-manifest.v1", "evidence.v1", "explain.v1"}
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
DOCUMENTS: dict[str, Any] = {
    "audit.v1": {
        "schema": "ec-runner.audit.v1",
        "tag": "boot-v1",
        "place": "https://git.example.org/o/r/releases/download/",
        "verdict": "failed",
        "referenceTime": 1_790_000_000,
        "release": 7,
        "rootVersion": 2,
        "checks": [
            {"name": "assets", "result": "fail", "detail": "5 assets", "problems": ["disk.img: another length"]},
        ],
    },
    "broadcast.v1": {
        "name": "channel-4",
        "input": "hdhomerun://10A1B2C3/4.1",
        "program": 3,
        "video": {"height": 720},
        "audio": {"channels": 2},
        "hls": {"port": 8104},
        "push": {"url": "https://origin.example.org/channel-4/"},
    },
    "closure-manifest.v1": json.loads(msgspec.json.encode(MANIFEST)),
    "evidence.v1": json.loads(msgspec.json.encode(EVIDENCE)),
    "evidence-check.v1": json.loads(msgspec.json.encode(CHECK)),
    "node.v1": {
        "schema": "ec-runner.node.v1",
        "name": "runner-7",
        "ssh_keys": [SSH_KEY],
        "dashboard": {"url": "https://dashboard.example.org", "token": "t"},
        "broadcast": [{"name": "channel-4", "input": "hdhomerun://10A1B2C3/4.1"}],
    },
    "node-applied.v1": {
        "schema": "ec-runner.node-applied.v1",
        "name": "runner-7",
        "source": "partition",
        "digest": "0" * 64,
        "ignored": ["file"],
        "dashboard": "https://dashboard.example.org",
        "sshKeys": ["SHA256:" + "A" * 43],
        "broadcasts": ["channel-4"],
    },
    "policy.v1": POLICY,
    "fetch.v1": {
        "schema": "ec-runner.fetch.v1",
        "toplevel": "/nix/store/00000000000000000000000000000000-system",
        "hasManifest": True,
        "manifests": [{"target": "v1/system.closure.json.zst", "size": 4096}],
        "latestVersion": 1,
        "metadataAge": 60,
        "nonce": True,
        "problems": ["EV104: nobody answers"],
    },
    "submit.v1": {
        "schema": "ec-runner.submit.v1",
        "sent": ["0000000001-x.json"],
        "refused": [{"name": "0000000002-x.json", "sha256": "0" * 64, "refused": "answered 422"}],
        "waiting": ["0000000003-x.json"],
        "reason": "answered 503",
    },
    "policy-check.v1": {
        "policy": "policy.toml",
        "digest": "0" * 64,
        "notes": [{"level": "warn", "place": "systems", "message": "m"}],
    },
    "policy-explanation.v1": {
        "digest": "0" * 64,
        "subject": "EV205",
        "says": [{"about": "EV205", "text": "t"}],
    },
    "explain.v1": json.loads(msgspec.json.encode(EXPLANATION)),
    "history.v1": {
        "schema": "ec-runner.history.v1",
        "runs": [
            {
                "counter": 3,
                "finished": 1_790_000_000,
                "levelAsked": "source",
                "levelReached": "bytes",
                "verdict": "undecided",
                "counts": {"unchanged": 3},
                "reading": {"read": 1, "unchanged": 3},
            }
        ],
        "next": {
            "remembered": 3,
            "due": 1,
            "dueSize": 120,
            "paths": [PATH],
            "rebuilt": 1,
            "rebuiltUntil": 1_790_000_000,
        },
    },
    "release-gate.v1": {
        "schema": "ec-runner.release-gate.v1",
        "passed": False,
        "authority": "dockerfile-image",
        "repository": "ghcr.io/{owner}/runner-dashboard",
        "publications": [
            {
                "kind": "image",
                "target": "ghcr.io/{owner}/runner-dashboard",
                "source": "app/Dockerfile",
                "tool": "ec-release image-promote",
                "workflow": "release.yml",
                "job": "image",
                "file": ".github/workflows/release.yml",
                "line": 7,
            }
        ],
        "authorities": [
            {
                "name": "dockerfile-image",
                "current": True,
                "met": False,
                "gates": [
                    {
                        "gate": "ownership",
                        "met": False,
                        "evidence": [{"met": False, "says": "nobody answers", "file": "docs/x.toml", "line": 3}],
                    }
                ],
            }
        ],
        "findings": [
            {
                "code": "RA101",
                "severity": "fail",
                "file": ".github/workflows/x.yml",
                "line": 4,
                "message": "two write",
                "via": [".github/workflows/y.yml:3"],
            }
        ],
    },
    "report.v1": json.loads(json.dumps(STATEMENT)),
    "run-output.v1": json.loads(json.dumps(RUN_OUTPUT)),
}

_TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
_ANNOTATIONS = {"$defs", "$schema", "title", "description", "default", "format"}


class Validator:
    """As much of JSON Schema as our schemas use. An unknown keyword is an error, so that none is passed over.

    There is no validator among the dependencies, and one that shared code with msgspec would prove nothing.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        self._keywords: dict[str, Callable[[Any, Any, dict[str, Any]], bool]] = {
            "$ref": lambda value, name, _: self.holds(value, schema["$defs"][name.removeprefix("#/$defs/")]),
            "anyOf": lambda value, choices, _: any(self.holds(value, choice) for choice in choices),
            "enum": lambda value, choices, _: value in choices,
            "properties": lambda value, parts, _: all(
                self.holds(value[name], part) for name, part in parts.items() if name in value
            ),
            "required": lambda value, names, _: set(names) <= set(value),
            "additionalProperties": self._additional,
            "items": lambda value, part, _: all(self.holds(one, part) for one in value),
            "pattern": lambda value, pattern, _: re.search(pattern, value) is not None,
            "minLength": lambda value, least, _: len(value) >= least,
            "maxLength": lambda value, most, _: len(value) <= most,
            "minItems": lambda value, least, _: len(value) >= least,
            "maxItems": lambda value, most, _: len(value) <= most,
            "minProperties": lambda value, least, _: len(value) >= least,
            "minimum": lambda value, least, _: bool(value >= least),
            "maximum": lambda value, most, _: bool(value <= most),
            "type": lambda *_: True,
            **dict.fromkeys(_ANNOTATIONS, lambda *_: True),
        }

    def holds(self, value: Any, schema: dict[str, Any] | None = None) -> bool:
        """Tell whether *value* is what the schema describes."""
        schema = self.schema if schema is None else schema
        kind = schema.get("type")
        if kind is not None and (
            not isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, bool))
        ):
            return False
        return all(self._keywords[keyword](value, wanted, schema) for keyword, wanted in schema.items())

    def _additional(self, value: Any, wanted: Any, schema: dict[str, Any]) -> bool:
        rest = [part for name, part in value.items() if name not in schema.get("properties", {})]
        return not rest if wanted is False else all(self.holds(part, wanted) for part in rest)


def validator(name: str) -> Validator:
    """Return a validator for the published schema *name*."""
    return Validator(json.loads((DIRECTORY / f"{name}.schema.json").read_text()))


def test_the_published_schemas_are_those_of_the_types(tmp_path: Path) -> None:
    """`python -m ec_closure.schemas docs/schemas` was run after the last change."""
    subprocess.run([sys.executable, "-m", "ec_closure.schemas", tmp_path / "new"], check=True)
    published = {file.name: file.read_text() for file in DIRECTORY.iterdir()}

    assert published == {file.name: file.read_text() for file in (tmp_path / "new").iterdir()}


@pytest.mark.parametrize("name", schemas.DOCUMENTS)
def test_a_schema_reads_well(name: str) -> None:
    """It names its dialect, and no description carries the indentation of a docstring."""
    text = (DIRECTORY / f"{name}.schema.json").read_text()

    assert json.loads(text)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert re.search(r'"description": ".*\\n  ', text) is None


@pytest.mark.parametrize("name", schemas.DOCUMENTS)
def test_a_document_of_ours_follows_its_schema(name: str) -> None:
    """Checked by a validator that knows nothing of the types."""
    assert validator(name).holds(DOCUMENTS[name])


@pytest.mark.parametrize("name", schemas.DOCUMENTS)
def test_every_missing_or_unknown_field_breaks_the_schema_as_it_breaks_the_type(name: str) -> None:
    """At every place of the document, schema and decoder agree."""
    checker, kind = validator(name), schemas.DOCUMENTS[name]
    tried = refused = 0
    for path in _objects(DOCUMENTS[name], ()):
        for change in (*_at(DOCUMENTS[name], path), None):
            document = json.loads(json.dumps(DOCUMENTS[name]))
            here = _at(document, path)
            if change is None:
                here["nobody knows this"] = {"a": 1}
            else:
                del here[change]
            try:
                msgspec.convert(document, kind)
                decodes = True
            except msgspec.ValidationError:
                decodes = False
            # Such a schema asks for its name, which the decoder finds missing by comparing spellings.
            if name not in TAGGED or (path, change) != ((), "schema"):
                assert checker.holds(document) == decodes, (path, change)
            tried += 1
            refused += not decodes

    assert tried > refused > 1


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("audit.v1", ("verdict",), "fine"),
        ("audit.v1", ("checks", 0, "result"), "maybe"),
        ("broadcast.v1", ("name",), "../x"),
        ("broadcast.v1", ("video", "height"), 63),
        ("closure-manifest.v1", ("paths", 0, "path"), PATH + "\n"),
        ("closure-manifest.v1", ("paths", 0, "narHash"), "sha256:0"),
        ("closure-manifest.v1", ("paths", 0, "narSize"), -1),
        ("closure-manifest.v1", ("paths", 0, "origin"), "found"),
        ("closure-manifest.v1", ("release", "version"), 0),
        ("closure-manifest.v1", ("schema",), "ec-runner.closure-manifest.v2"),
        ("node.v1", ("name",), "Runner 7"),
        ("node.v1", ("dashboard", "token"), "two words"),
        ("node-applied.v1", ("source",), "stick"),
        ("policy.v1", ("level",), "none"),
        ("policy.v1", ("severity", "EV201"), "low"),
        ("report.v1", ("subject", 0, "digest"), {}),
        ("report.v1", ("predicate", "nonce"), "short"),
        ("report.v1", ("predicate", "findings", 0, "code"), "XX1"),
        ("report.v1", ("_type",), "https://in-toto.io/Statement/v0.1"),
        ("run-output.v1", ("paths", PATH), "fine"),
        ("run-output.v1", ("verdict",), None),
    ],
)
def test_a_wrong_value_breaks_the_schema_and_the_type(name: str, path: tuple[str | int, ...], value: object) -> None:
    """Patterns, ranges and choices stand in the schema, too."""
    document = json.loads(json.dumps(DOCUMENTS[name]))
    _at(document, path[:-1])[path[-1]] = value

    assert not validator(name).holds(document)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(document, schemas.DOCUMENTS[name])


def test_policies_are_described_as_they_are_written() -> None:
    """TOML has dates, JSON Schema calls them strings of that format."""
    assert msgspec.convert(POLICY, Policy).unreproducible[0].expires.year == 2026
    assert '"format": "date"' in (DIRECTORY / "policy.v1.schema.json").read_text()


def _objects(value: Any, path: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    """Return the places of the objects with fields of ours in a document: `reasons` and the like have none."""
    if isinstance(value, list):
        return [found for at, part in enumerate(value) for found in _objects(part, (*path, at))]
    if not isinstance(value, dict):
        return []
    free = path and path[-1] in (
        "inputs",
        "specialisations",
        "reasons",
        "counts",
        "paths",
        "severity",
        "digest",
        "members",
        "trust",
    )
    below = [found for name, part in value.items() for found in _objects(part, (*path, name))]
    return below if free else [path, *below]


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    """Return what stands at a place."""
    for step in path:
        value = value[step]
    return value
