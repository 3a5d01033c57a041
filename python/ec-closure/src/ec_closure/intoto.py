"""in-toto statements: what a predicate is about. Source: in-toto attestation framework, Statement v1."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class Subject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is spoken of: a store path, *digest* the SHA-256 of its NAR (so that `nix-store --dump` makes the file)."""

    name: str
    digest: Annotated[dict[str, str], msgspec.Meta(min_length=1)]


class Statement(
    msgspec.Struct, frozen=True, kw_only=True, rename={"type_": "_type", "predicate_type": "predicateType"}
):
    """A statement whose predicate is not decoded yet."""

    type_: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
    subject: Annotated[tuple[Subject, ...], msgspec.Meta(min_length=1)]
    predicate_type: str
    predicate: Any


def encode(statement: Statement) -> bytes:
    """Return the statement as JSON with sorted keys."""
    return msgspec.json.encode(statement, order="sorted")
