"""Step 1 for a specialisation: a system inside another one, without a manifest of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from ec_closure import manifest as manifests
from ec_fetch.client import TrustClient
from ec_verify import config
from ec_verify.trust import establish

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_verify.conftest import Names, Node

    from ec_closure.manifest import Manifest
    from ec_verify.model import TrustOutcome

pytestmark = pytest.mark.nix


@pytest.fixture
def ask(node: Node, names: type[Names]) -> Callable[..., TrustOutcome]:
    """Give a function that establishes trust on the node."""

    def run(toplevel: str, *generations: str) -> TrustOutcome:
        return establish(config.load(node.configure()).config, toplevel, generations, time=names.now)

    return run


def codes(outcome: TrustOutcome) -> list[str]:
    """Return the codes of the problems."""
    return [one.code for one in outcome.problems]


def _special(names: type[Names]) -> Manifest:
    """Return the manifest of a system with a specialisation."""
    inner, outer = names.store_path("inner"), names.store_path("outer")
    position = sorted((inner, outer)).index(inner)
    records = [names.record(inner), names.record(outer, references=(position,))]
    manifest = names.manifest_of(records, system=outer, version=2)
    system = msgspec.structs.replace(manifest.system, specialisations={"debug": inner})
    return msgspec.structs.replace(manifest, system=system)


def test_the_manifest_that_holds_it_is_found(node: Node, ask: Callable[..., TrustOutcome], names: type[Names]) -> None:
    """By the specialisation's own path, and once: the profile's generation brings it no second time."""
    whole = _special(names)
    node.publish(2, whole)

    found = ask(names.store_path("inner"), whole.system.out_path, names.store_path("inner"))

    assert ([], whole, "debug", ()) == (codes(found), found.manifest, found.specialisation, found.others)


def test_a_manifest_of_its_own_goes_first(node: Node, ask: Callable[..., TrustOutcome], names: type[Names]) -> None:
    """A fleet that publishes it as a system runs it as that."""
    alone = names.manifest_of([names.record(names.store_path("inner"))], system=names.store_path("inner"), version=3)
    node.publish(2, _special(names))
    node.publish(3, alone)

    found = ask(names.store_path("inner"))

    assert ([], alone, None) == (codes(found), found.manifest, found.specialisation)


def test_metadata_that_promise_one_that_is_not_there_are_refused(
    node: Node, ask: Callable[..., TrustOutcome], monkeypatch: pytest.MonkeyPatch, names: type[Names]
) -> None:
    """What the metadata say of a manifest must be what it says of itself."""
    whole = _special(names)
    node.publish(2, whole)
    system = msgspec.structs.replace(whole.system, specialisations={})
    other = manifests.encode(msgspec.structs.replace(whole, system=system))
    monkeypatch.setattr(TrustClient, "download", lambda _self, _target: other)

    found = ask(names.store_path("inner"))

    assert (["EV108"], None) == (codes(found), found.manifest)
    assert "does not know the specialisation" in found.problems[0].message
