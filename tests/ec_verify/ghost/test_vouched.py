"""What the ghost's database starts with: nothing that only the node's own database speaks for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ec_closure.content_address import source_store_path
from ec_closure.hashes import Hash
from ec_closure.manifest import Builder, Manifest, PathRecord, Release, Source, System
from ec_closure.signing import Keyring, SecretKey, fingerprint
from ec_closure.store_db import PathInfo
from ec_verify.ghost.vouched import vouched
from ec_verify.scan.path import PathObservation

STORE = "/nix/store"
HASH = Hash.of("sha256", b"as signed")
OTHER = Hash.of("sha256", b"altered")
KEY = SecretKey.generate("cache-1")
NONE = Keyring.parse([])


def path(letter: str, name: str = "x") -> str:
    """Return a store path."""
    return f"{STORE}/{letter * 32}-{name}"


def seen(path: str, nar_hash: Hash = HASH, deserved: str | None = None) -> PathObservation:
    """Return an observation of *path*."""
    return PathObservation(path, nar_hash=nar_hash.sri, nar_size=1, deserved=deserved)


def row(path: str, *references: str, **more: object) -> PathInfo:
    """Return a row of the node's database."""
    return replace(PathInfo(path=path, nar_hash=HASH, nar_size=1, references=references), **more)


def manifest(*paths: str) -> Manifest:
    """Return a manifest of *paths*, each of which refers to the one before it; the last is the system."""
    return Manifest(
        release=Release(tag="t", version=1, issued=1),
        source=Source(nar_hash=HASH.sri, store_path=paths[-1]),
        system=System(name="s", attr="a", platform="p", drv_path=f"{paths[-1]}.drv", out_path=paths[-1]),
        builder=Builder(nix="2.8", sandbox=True, platform="p"),
        paths=tuple(
            PathRecord(
                path=one,
                nar_hash=HASH.sri,
                nar_size=1,
                references=(position - 1,) if position else (),
                deriver=f"{one}.drv",
                output="out",
                origin="built",
            )
            for position, one in enumerate(paths)
        ),
    )


def test_what_a_manifest_signs_counts_with_the_manifests_references() -> None:
    """A reference that the node's database dropped, or a row that is missing, makes no difference."""
    low, top = path("0"), path("1")
    found = vouched({low: row(low)}, {low: seen(low), top: seen(top)}, [manifest(low, top)], NONE, STORE)
    assert [(low, ()), (top, (low,))] == [(one.path, one.references) for one in found]


def test_an_altered_path_is_left_out_with_all_that_refers_to_it() -> None:
    """A row without its references would break the builds that need it."""
    low, middle, top = path("0"), path("1"), path("2")
    looked = {low: seen(low), middle: seen(middle, OTHER), top: seen(top)}
    found = vouched({}, looked, [manifest(low, middle, top)], NONE, STORE)
    assert [low] == [one.path for one in found]


def test_a_row_that_nobody_else_speaks_for_is_left_out() -> None:
    """Registered and intact is not enough: it may have been registered by anybody."""
    forged = path("0")
    assert [] == vouched({forged: row(forged, ultimate=True)}, {forged: seen(forged)}, [], NONE, STORE)


def test_a_derivation_is_left_out_whatever_is_said_of_it() -> None:
    """The evaluation makes derivations: one that lies there already could be another's answer."""
    text = path("0", "x.drv")
    assert [] == vouched({text: row(text, ca="text:sha256:x")}, {text: seen(text, deserved=text)}, [], NONE, STORE)


@pytest.mark.parametrize("honest", [True, False])
def test_a_content_addressed_path_counts_if_its_bytes_deserve_its_name(*, honest: bool) -> None:
    """Its name is its hash, computed anew."""
    source = source_store_path(HASH)
    found = vouched(
        {source: row(source, ca="fixed:r:sha256:x")},
        {source: seen(source, deserved=source if honest else path("9"))},
        [],
        NONE,
        STORE,
    )
    assert ([source] if honest else []) == [one.path for one in found]


@pytest.mark.parametrize("trusted", [True, False])
def test_a_signature_counts_if_its_key_is_trusted_and_the_bytes_are_those_it_covers(*, trusted: bool) -> None:
    """A cache's signature over the bytes seen now and the references of the row."""
    tool = path("0")
    signature = KEY.sign(fingerprint(tool, HASH, 1, (), STORE))
    keys = Keyring.parse([str(KEY.public)] if trusted else [])
    honest = vouched({tool: row(tool, signatures=(signature,))}, {tool: seen(tool)}, [], keys, STORE)
    altered = vouched({tool: row(tool, signatures=(signature,))}, {tool: seen(tool, OTHER)}, [], keys, STORE)
    assert (([tool] if trusted else []), []) == ([one.path for one in honest], altered)


def test_an_observation_that_failed_vouches_for_nothing() -> None:
    """What could not be read is not there."""
    gone = path("0")
    assert [] == vouched({}, {gone: PathObservation(gone, problem="missing")}, [manifest(gone)], NONE, STORE)
