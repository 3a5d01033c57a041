"""Why two derivations differ: attribute by attribute, and down through their inputs to those that differ themselves.

A derivation's paths follow from its inputs', so that one changed line changes everything above it. Here an input that
differs only by its hash is followed, and the hash parts of store paths in texts are left out of the comparison: every
path that a text may mention is an input, and inputs are compared by themselves. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ec_closure import strict_json
from ec_closure.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ec_closure.derivation import Derivation

MAX_PAIRS: Final = 20_000
"""Pairs of derivations that are looked at; graphs of a system have fewer."""

_MAX_JSON: Final = 16 << 20
_HASH_PART: Final = re.compile(rb"(?<![0-9a-z])[0-9a-df-np-sv-z]{32}(?=-[0-9A-Za-z+._?=-])")
_BASE: Final = 33


@dataclass(frozen=True, slots=True)
class Change:
    """One attribute: *where* it is (`env.CFLAGS`, `args[1]`), and its two values; None where there is none."""

    where: str
    left: bytes | None
    right: bytes | None


@dataclass(frozen=True, slots=True)
class RootCause:
    """A pair of derivations that differ by themselves. *chain* names what needs them, from the top down."""

    left: str
    right: str
    changes: tuple[Change, ...]
    chain: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DerivationDiff:
    """*causes*, how many pairs were *followed*, what was *missing* on the way, and whether it is *complete*."""

    causes: tuple[RootCause, ...]
    followed: int
    missing: tuple[str, ...]
    complete: bool


def changes(left: Derivation, right: Derivation) -> tuple[Change, ...]:
    """Return in what two derivations differ by themselves: everything but the hashes of inputs with one name."""
    found = [
        Change(f"output {name}", _output(left, name), _output(right, name))
        for name in sorted({*left.outputs, *right.outputs})
    ]
    for name in ("system", "builder"):
        one, other = (getattr(side, name).encode("utf-8", "surrogateescape") for side in (left, right))
        found.append(Change(name, one, other))
    found += [
        Change(f"args[{number}]", _at(left.args, number), _at(right.args, number))
        for number in range(max(len(left.args), len(right.args)))
    ]
    for key in sorted({*left.env, *right.env}):
        name = key.decode("utf-8", "backslashreplace")
        one_value, other_value = left.env.get(key), right.env.get(key)
        structured = _structured(one_value, other_value) if key == b"__json" else None
        found += structured if structured is not None else [Change(f"env.{name}", one_value, other_value)]
    found = [one for one in found if _masked(one.left) != _masked(one.right)]
    sources = _by_name(left.input_srcs), _by_name(right.input_srcs)
    for name in sorted(sources[0].keys() | sources[1].keys()):
        one_source, other_source = (" ".join(side.get(name, ())).encode() or None for side in sources)
        if one_source != other_source:
            found.append(Change(f"source {name}", one_source, other_source))
    inputs = _inputs(left), _inputs(right)
    for name in sorted(inputs[0].keys() | inputs[1].keys()):
        one_input, other_input = (side.get(name) for side in inputs)
        if one_input != other_input:
            found.append(Change(f"input {name}", one_input, other_input))
    return tuple(found)


def compare(left: str, right: str, load: Callable[[str], Derivation | None]) -> DerivationDiff:
    """Compare the derivations at *left* and *right* and what they need; *load* gives None for what is not at hand.

    Raises what *load* raises.
    """
    causes: list[RootCause] = []
    missing: list[str] = []
    seen = {(left, right)}
    todo: list[tuple[str, str, tuple[str, ...]]] = [(left, right, ())]
    followed = 0
    while todo:
        one, other, chain = todo.pop(0)
        if one == other:
            continue
        followed += 1
        pair = load(one), load(other)
        missing += [path for path, found in zip((one, other), pair, strict=True) if found is None]
        if pair[0] is None or pair[1] is None:
            continue
        own = changes(pair[0], pair[1])
        if own:
            causes.append(RootCause(one, other, own, chain))
        for following in _pairs(pair[0], pair[1]):
            if following not in seen and len(seen) < MAX_PAIRS:
                seen.add(following)
                todo.append((*following, (*chain, one.rpartition("/")[2][_BASE:])))
    return DerivationDiff(tuple(causes), followed, tuple(dict.fromkeys(missing)), len(seen) < MAX_PAIRS)


def _pairs(left: Derivation, right: Derivation) -> list[tuple[str, str]]:
    """Return the inputs of one name that are other derivations on the other side."""
    one, other = _by_name(left.input_drvs), _by_name(right.input_drvs)
    found = []
    for name in sorted(one.keys() & other.keys()):
        mine, theirs = (sorted(set(a) - set(b)) for a, b in ((one[name], other[name]), (other[name], one[name])))
        found += list(zip(mine, theirs, strict=False))
    return found


def _by_name(paths: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        found.setdefault(path.rpartition("/")[2][_BASE:], []).append(path)
    return found


def _inputs(derivation: Derivation) -> dict[str, bytes]:
    """Return by name which outputs of how many inputs are used."""
    return {
        name: " ".join(sorted(",".join(derivation.input_drvs[path]) for path in paths)).encode()
        for name, paths in _by_name(derivation.input_drvs).items()
    }


def _output(derivation: Derivation, name: str) -> bytes | None:
    """Return what an output declares; its path follows from the rest."""
    output = derivation.outputs.get(name)
    return None if output is None else f"{output.hash_algo} {output.hash}".strip().encode()


def _at(values: tuple[bytes, ...], number: int) -> bytes | None:
    return values[number] if number < len(values) else None


def _masked(value: bytes | None) -> bytes | None:
    return None if value is None else _HASH_PART.sub(b"*", value)


def _structured(left: bytes | None, right: bytes | None) -> list[Change] | None:
    """Compare structured attributes key by key; None when one side is not such a table."""
    sides: list[dict[str, Any]] = []
    for value in (left, right):
        try:
            sides.append(strict_json.decode(value or b"", dict[str, Any], what="__json", max_bytes=_MAX_JSON))
        except BadInputError:
            return None
    return [
        Change(f"__json.{key}", *(_spell(side[key]) if key in side else None for side in sides))
        for key in sorted({*sides[0], *sides[1]})
    ]


def _spell(value: Any) -> bytes:
    import msgspec

    return msgspec.json.encode(value, order="sorted")
