"""What passes between the courier, the part of ec-verify that speaks to the network, and the parts that look and judge.

The courier (`ec-verify fetch`, `ec-verify submit`) runs without rights and owns one directory. What it leaves there
is no more believed than what a server says: metadata and manifests are verified again, and a nonce is judged
by the dashboard.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ec_closure.record import Count, Line, Record, Sha256, Text

MAX_BYTES = 1 << 20
MAX_SENT = 2000
NONCE_FILE = "nonce.json"
LEDGER_FILE = "sent.json"
TRUST_DIRECTORY = "trust"

Nonce = Annotated[str, msgspec.Meta(min_length=16, max_length=256)]


class KeptNonce(Record, frozen=True, kw_only=True):
    """A nonce that the dashboard *url* gave at *asked* (seconds since 1970), for one report."""

    schema: Literal["ec-runner.nonce.v1"] = "ec-runner.nonce.v1"
    nonce: Nonce
    asked: Count
    url: Text


class SentReport(Record, frozen=True, kw_only=True):
    """A report that is through: *name* is its file's in the spool, *sha256* of its bytes.

    *refused* is what a dashboard said that refused it for good, None for one that took it.
    """

    name: Line
    sha256: Sha256
    refused: Text | None = None


class Ledger(Record, frozen=True, kw_only=True):
    """What the courier sent and cannot remove: the spool is not its own."""

    schema: Literal["ec-runner.sent.v1"] = "ec-runner.sent.v1"
    reports: Annotated[tuple[SentReport, ...], msgspec.Meta(max_length=MAX_SENT)] = ()


class FetchedManifest(Record, frozen=True, kw_only=True):
    """A manifest that is at hand: its *target* in the metadata, and the *size* of its published bytes."""

    target: Text
    size: Count


class FetchOutput(Record, frozen=True, kw_only=True):
    """What `ec-verify fetch --json` prints.

    *toplevel* is what runs, *manifests* are its own, if there is one, and those of the other generations.
    *metadata_age* in seconds, None without metadata. *nonce* tells whether the dashboard gave one. *problems* are what
    kept the rest, each in a line with the code of the finding that a run would make of it.
    """

    schema: Literal["ec-runner.fetch.v1"] = "ec-runner.fetch.v1"
    toplevel: Text | None = None
    has_manifest: bool = False
    manifests: tuple[FetchedManifest, ...] = ()
    latest_version: Count | None = None
    metadata_age: Count | None = None
    nonce: bool = False
    problems: tuple[Text, ...] = ()


class SubmitOutput(Record, frozen=True, kw_only=True):
    """What `ec-verify submit --json` prints: reports by their names in the spool.

    *refused* will never be taken; *waiting* still wait, and *reason* says for what.
    """

    schema: Literal["ec-runner.submit.v1"] = "ec-runner.submit.v1"
    sent: tuple[Text, ...] = ()
    refused: tuple[SentReport, ...] = ()
    waiting: tuple[Text, ...] = ()
    reason: Text | None = None
