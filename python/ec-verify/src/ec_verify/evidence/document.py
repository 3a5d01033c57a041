"""A case as a document: all that the judge was given, but for what is signed elsewhere (manifests and policy).

The document has the fields of the dataclasses that observers fill: what is added there travels by itself. Its digest
stands in the signed index, so that it is read only after it was verified.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from typing import Any

import msgspec

from ec_closure import canonical
from ec_closure.decoding import explain
from ec_closure.errors import BadInputError, LimitError
from ec_closure.hashes import Hash
from ec_closure.manifest import Manifest
from ec_closure.policy import Level, Policy
from ec_closure.record import Record
from ec_closure.store_db import PathInfo
from ec_verify import model
from ec_verify.config_tables import StoreLayersKind
from ec_verify.judge import Case
from ec_verify.observe import host, kernel, kernel_modules, mounts, running
from ec_verify.scan import entries, metadata, oddity, path

MAX_BYTES = 1 << 30

# Names that those modules import for type checkers alone. A test tells which one is missing here.
_NAMES: dict[str, Any] = {
    "Hash": Hash,
    "Level": Level,
    "Manifest": Manifest,
    "PathInfo": PathInfo,
    "Policy": Policy,
    "StoreLayersKind": StoreLayersKind,
    **{
        name: value
        for module in (model, host, kernel, kernel_modules, mounts, running, entries, metadata, oddity, path)
        for name, value in vars(module).items()
        if not name.startswith("_")
    },
}


class UnknownFieldError(BadInputError):
    """A case has fields that this version does not know: it was made by another one."""

    code = "verify.case-version"


def _resolve(root: type) -> None:
    """Replace the annotations of the dataclass *root* and all below it, which are text, by the types they name."""
    todo, seen = [root], set()
    while todo:
        kind = todo.pop()
        if kind in seen:
            continue
        seen.add(kind)
        if dataclasses.is_dataclass(kind):
            kind.__annotations__ = typing.get_type_hints(kind, localns=_NAMES, include_extras=True)
            todo.extend(part for hint in kind.__annotations__.values() for part in _classes(hint))


def _classes(hint: Any) -> list[type]:
    found, todo = [], [hint]
    while todo:
        one = todo.pop()
        todo.extend(typing.get_args(one))
        if isinstance(one, type) and dataclasses.is_dataclass(one):
            found.append(one)
    return found


_resolve(Case)


class CaseDocument(Record, frozen=True, kw_only=True, tag_field="schema", tag="ec-runner.case.v1"):
    """What the judge was given. Names inside are those of the verifier's own types; times are seconds since 1970."""

    case: Case


def document(case: Case) -> CaseDocument:
    """Return *case* as a document: with an empty policy, and without manifests and their record."""
    trust = dataclasses.replace(case.trust, manifest=None, others=(), record=None)
    return CaseDocument(case=dataclasses.replace(case, policy=Policy(), trust=trust))


def encode(found: CaseDocument) -> bytes:
    """Return the one spelling of a document. Text that holds undecodable bytes is escaped as a whole document."""
    try:
        return canonical.encode(found)
    except UnicodeEncodeError:
        plain = msgspec.to_builtins(found, order="sorted")
        return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def decode(data: bytes, *, what: str) -> CaseDocument:
    """Read a document whose digest was verified.

    Fields that are missing take their defaults: an older version did not know them. Raises `LimitError`,
    `BadInputError`, and `UnknownFieldError` for fields that mean nothing here.
    """
    if len(data) > MAX_BYTES:
        raise LimitError(f"{len(data)} bytes where at most {MAX_BYTES} are accepted", place=what)
    try:
        try:
            found = msgspec.json.decode(data, type=CaseDocument)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            found = msgspec.convert(json.loads(data), CaseDocument)
        spelled = encode(found)
        if spelled != data:
            _refuse_unknown(json.loads(data), json.loads(spelled), what)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        message, place = explain(error, what)
        raise BadInputError(message or "nested too deep", place=place) from error
    return found


def _refuse_unknown(raw: Any, known: Any, what: str) -> None:
    todo: list[tuple[Any, Any]] = [(raw, known)]
    while todo:
        one, other = todo.pop()
        if isinstance(one, dict) and isinstance(other, dict):
            for key in one:
                if key not in other:
                    raise UnknownFieldError(
                        f"the field {key[:80]!r} is not known to this version",
                        place=what,
                        hint="check the bundle with the version of ec-verify that its report names",
                    )
                todo.append((one[key], other[key]))
        elif isinstance(one, list) and isinstance(other, list):
            todo.extend(zip(one, other, strict=False))
