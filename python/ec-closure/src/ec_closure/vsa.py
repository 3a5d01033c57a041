"""SLSA verification summary attestations, written beside a report that passed.

A VSA can only say PASSED or FAILED; everything else is in the report. Source: SLSA Verification
Summary v1. Not said here: what was not checked, see `report`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ec_closure.intoto import Statement, Subject

PREDICATE_TYPE = "https://slsa.dev/verification_summary/v1"


class Verifier(msgspec.Struct, frozen=True, kw_only=True):
    """Who verified: a URI, and the versions of its parts."""

    id: str
    version: dict[str, str]


class Descriptor(msgspec.Struct, frozen=True, kw_only=True):
    """A document that was looked at."""

    uri: str
    digest: dict[str, str]


class Summary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The predicate."""

    verifier: Verifier
    time_verified: str
    resource_uri: str
    policy: Descriptor
    input_attestations: tuple[Descriptor, ...] = ()
    verification_result: Literal["PASSED", "FAILED"]
    verified_levels: tuple[str, ...]
    slsa_version: str = "1.0"


def statement(summary: Summary, subject: Subject) -> Statement:
    """Return the statement that carries *summary*."""
    return Statement(subject=(subject,), predicate_type=PREDICATE_TYPE, predicate=summary)
