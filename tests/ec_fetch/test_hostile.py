"""Metadata made to break the reader: whatever they hold, they end in an error of ours or are accepted as they are."""

from __future__ import annotations

import copy
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical

from ec_closure.errors import EcError
from ec_release.trust.update import describe

if TYPE_CHECKING:
    from collections.abc import Iterator

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.text(max_size=9) | st.just("2026-99-99T00:00:00Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
_SHARED = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in *document*."""
    stack = [(document, path)]
    while stack:
        value, where = stack.pop()
        if where:
            yield where
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        stack.extend((child, (*where, key)) for key, child in inner)


def refreshes(world: Any, number: int) -> None:
    """Refresh with a new memory; errors of ours are fine, all others fail the test."""
    client = world.client(f"state-{number}")
    try:
        client.refresh()
        client.closures()
    except EcError as error:
        assert "\n" not in error.message  # noqa: PT017 - any error of ours will do


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_signed_nonsense_is_named(world: Any, role: str) -> None:
    """Somebody who holds the key signs any JSON at all in place of any value."""
    if role == "root":
        world.rotate(bool)
    genuine = json.loads(world.newest(role).to_bytes())["signed"]
    name = "timestamp.json" if role == "timestamp" else f"{genuine['version']}.{role}.json"
    signers = world.signers(role)
    before = world.keep()
    number = itertools.count()

    @_SHARED
    @given(st.sampled_from(sorted(places(genuine), key=repr)), _JSON)
    def attempt(place: tuple[Any, ...], value: Any) -> None:
        signed = copy.deepcopy(genuine)
        inner = signed
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
        payload = str(encode_canonical(signed)).encode()
        signatures = [signer.sign(payload).to_dict() for signer in signers]
        world.show(before)
        (world.trust / name).write_text(json.dumps({"signatures": signatures, "signed": signed}))
        _refer(world, role, name)
        refreshes(world, next(number))

    attempt()


def test_damaged_bytes_are_named(world: Any) -> None:
    """Any byte of the timestamp is changed, removed or doubled."""
    genuine = (world.trust / "timestamp.json").read_bytes()
    number = itertools.count()

    @_SHARED
    @given(st.integers(0, len(genuine) - 1), st.binary(max_size=3))
    def attempt(position: int, instead: bytes) -> None:
        (world.trust / "timestamp.json").write_bytes(genuine[:position] + instead + genuine[position + 1 :])
        refreshes(world, next(number))

    attempt()


def _refer(world: Any, role: str, name: str) -> None:
    """Let what refers to the file *name* agree with it, so that its hash is not what stops it."""
    data = (world.trust / name).read_bytes()
    if role == "targets":
        meta = {"targets.json": describe(data, int(name.partition(".")[0]))}
        world.forge("snapshot", lambda signed: setattr(signed, "meta", meta))
    if role == "snapshot":
        meta_of_it = describe(data, int(name.partition(".")[0]))
        world.forge("timestamp", lambda signed: setattr(signed, "snapshot_meta", meta_of_it))
