"""What `ec-verify explain --json` prints about one store path, or about two derivations."""

from __future__ import annotations

from typing import Literal

from ec_closure.record import Count, Record, Text
from ec_closure.report import PathVerdict


class Explained(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A part of an explanation. What is not known is left out."""


class SignedFacts(Explained, frozen=True, kw_only=True):
    """What CI says of the path."""

    release: Text
    nar_hash: Text
    nar_size: Count
    origin: Text
    deriver: Text | None = None
    references: tuple[str, ...] = ()


class RegisteredFacts(Explained, frozen=True, kw_only=True):
    """What the store database says: heard, never believed."""

    nar_hash: Text
    nar_size: Count
    deriver: str | None = None
    content_address: str | None = None
    signatures: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


class DiskFacts(Record, frozen=True, kw_only=True):
    """What lies there now. *metadata* are anomalies, one line each."""

    nar_hash: Text | None = None
    nar_size: Count = 0
    problem: str | None = None
    deserved_path: str | None = None
    metadata: tuple[str, ...] = ()


class RebuiltFacts(Explained, frozen=True, kw_only=True):
    """What rebuilding showed at the last run. *causes* are inputs that differ and were taken as signed."""

    nar_hash: Text | None = None
    derivation: Text
    output: Text
    round: Count
    unsound: str | None = None
    failure: str | None = None
    causes: tuple[str, ...] = ()


class SourceFacts(Explained, frozen=True, kw_only=True):
    """What the embedded source evaluates to, against what CI built."""

    evaluated: Text | None = None
    signed: Text | None = None


class LastRun(Record, frozen=True, kw_only=True):
    """What the last run said of the path."""

    verdict: PathVerdict | Literal["not in the manifest"]
    reason: str | None = None
    findings: tuple[str, ...] = ()


class Entry(Explained, frozen=True, kw_only=True):
    """One entry that differs. *left* and *right* say what is on each side, *offset* where contents first differ."""

    path: str
    kind: Text
    left: str = ""
    right: str = ""
    offset: int | None = None
    lines: tuple[str, ...] = ()


class FileDifference(Explained, frozen=True, kw_only=True):
    """What differs between two trees, called *left* and *right*. *source* is where one came from.

    *unavailable* says why nothing was compared. *diffoscope* is its report's file, or why there is none.
    """

    left: Text
    right: Text

    source: str | None = None
    unavailable: str | None = None
    count: Count = 0
    complete: bool = True
    entries: tuple[Entry, ...] = ()
    diffoscope: str | None = None


class Dependents(Record, frozen=True, kw_only=True):
    """Who refers to the path in its manifest, itself left out. *affected* have their verdict because of it."""

    direct: Count
    transitive: Count
    affected: tuple[str, ...] = ()


class Explanation(Explained, frozen=True, kw_only=True, tag_field="schema", tag="ec-runner.explain.v1"):
    """Why a store path has its verdict. *words* is the verdict in a sentence, *next* what to do now.

    *chain* leads from the path down to the root cause of what it inherits.
    """

    path: Text
    words: Text
    next: Text
    trust: dict[str, str] = {}
    signed: SignedFacts | None = None
    registered: RegisteredFacts | None = None
    on_disk: DiskFacts
    rebuilt: RebuiltFacts | None = None
    source: SourceFacts | None = None
    last_run: LastRun | None = None
    difference: FileDifference | None = None
    rebuilt_difference: FileDifference | None = None
    dependents: Dependents | None = None
    chain: tuple[str, ...] = ()
