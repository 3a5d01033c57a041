"""What is said of the database, and what is left to the bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ec_closure import signing
from ec_closure.signing import SecretKey
from ec_closure.store_db_audit import Audit, Flaw

if TYPE_CHECKING:
    from tests.ec_verify.conftest import Names, Scene

    from ec_closure.findings import Severity
    from ec_closure.store_db_audit import FlawKind

CACHE = SecretKey("cache.invalid-1", bytes(32))


def weights(scene: Scene) -> dict[str, Severity]:
    """Return the weight of each code that is found."""
    return {finding.code: finding.severity for finding in scene.judge().findings}


def signature(scene: Scene, path: str, key: SecretKey = CACHE) -> str:
    """Return the signature that *key* makes for a row."""
    row = scene.case.observation.rows[path]
    return key.sign(signing.fingerprint(path, row.nar_hash, row.nar_size, row.references))


@pytest.mark.parametrize(
    ("kind", "weight"),
    [("program", "fail"), ("dangling", "fail"), ("damaged", "fail"), ("stray", "warn"), ("stranger", "info")],
)
def test_flaws_weigh_what_they_can_do(scene: Scene, kind: FlawKind, weight: Severity) -> None:
    """A table that is not known may be that of tomorrow's Nix."""
    scene.observe(database=Audit((Flaw(kind, "odd"),)))

    assert {"EV215": weight} == weights(scene)


def test_flaw_names_its_path(scene: Scene, names: type[Names]) -> None:
    """As a finding does."""
    scene.observe(database=Audit((Flaw("dangling", "it refers to a row that is not there", names.tool),)))

    assert [names.tool] == [finding.path for finding in scene.judge().findings]


def test_policy_may_weigh_otherwise(scene: Scene) -> None:
    """What an operator writes counts for every finding of the code."""
    scene.policy(severity={"EV215": "warn"}).observe(database=Audit((Flaw("program", "odd"), Flaw("stranger", "odd"))))

    assert {"EV215": "warn"} == weights(scene)


def test_true_signatures_are_no_finding(scene: Scene, names: type[Names]) -> None:
    """Nor are those of keys that nobody here knows, for nothing is known about them."""
    stranger = SecretKey("stranger.invalid-1", bytes(range(32)))
    scene.policy(cache_keys=[CACHE.public.render()])
    scene.row(
        names.system, signatures=(signature(scene, names.system), stranger.sign(b"anything"), stranger.sign(b"else"))
    )

    assert {} == weights(scene)


def test_signature_that_the_key_never_made_is_forged(scene: Scene, names: type[Names]) -> None:
    """It carries the name of a key in policy, and does not verify."""
    scene.policy(cache_keys=[CACHE.public.render()])
    scene.row(names.editor, signatures=(CACHE.sign(b"other"), signature(scene, names.editor)))

    assert "fail" == weights(scene)["EV216"]


def test_signature_over_what_a_row_said_before_is_not_told_twice(scene: Scene, names: type[Names]) -> None:
    """The row was edited: that is the finding, and the signature is only its consequence."""
    scene.policy(cache_keys=[CACHE.public.render()])
    scene.row(names.editor, signatures=(signature(scene, names.editor),)).row(names.editor, nar_size=1)

    assert {"EV212": "fail"} == weights(scene)


def test_row_that_no_manifest_lists_is_held_to_its_signatures(scene: Scene, names: type[Names]) -> None:
    """There nothing else speaks for it."""
    evil = names.store_path("evil")
    scene.policy(cache_keys=[CACHE.public.render()], allowed_unlisted=["*-evil"]).add(path=evil)
    scene.row(evil, signatures=(CACHE.sign(b"something else"),))

    assert {"EV216": "fail"} == weights(scene)


@pytest.mark.parametrize(
    "malformed", ["no-colon", "cache.invalid-1:AAAA", "name:!", "name:AAAA", ":" + "A" * 86 + "==", "\x1b:AAAA"]
)
def test_malformed_signature_is_worth_a_look(scene: Scene, names: type[Names], malformed: str) -> None:
    """Nix writes none, and believes none: not even under the name of a key that is known."""
    scene.policy(cache_keys=[CACHE.public.render()])
    scene.row(names.editor, signatures=(malformed,))

    assert {"EV216": "warn"} == weights(scene)


def test_origins_that_may_be_innocent_are_counted_as_information(scene: Scene, names: type[Names]) -> None:
    """A node may build what CI took from a cache, and two derivations may make one path."""
    scene.row(names.editor, ultimate=True)
    scene.row(names.tool, deriver=f"{names.library}.drv").row(names.library, deriver=f"{names.library}.drv")

    found = scene.judge().findings

    assert {("EV217", "info")} == {(finding.code, finding.severity) for finding in found}
    assert {names.editor, names.tool} == {finding.path for finding in found}


def test_many_claims_of_one_kind_are_one_finding(scene: Scene, names: type[Names]) -> None:
    """With their number."""
    for path in (names.system, names.tool):
        scene.row(path, deriver=f"{names.library}.drv")

    assert scene.message("EV217").endswith("-library.drv (and 1 more)")


def test_rows_of_an_image_are_no_finding(scene: Scene, names: type[Names]) -> None:
    """They have no deriver, no content address and no signature, and the build machine's are marked as its own."""
    scene.row(names.text, ca=None).row(names.tool, ultimate=True, deriver=f"{names.tool}.drv")

    assert {} == weights(scene)


def test_source_is_never_built(scene: Scene, names: type[Names]) -> None:
    """Nix marks as built what a builder made."""
    scene.row(names.text, ultimate=True)

    assert {"EV217": "warn"} == weights(scene)


@pytest.mark.parametrize("deriver", ["unknown", "/nix/store/x.drv", "/tmp/x.drv"])  # noqa: S108 - a name, no file
def test_deriver_that_is_no_derivation_is_worth_a_look(scene: Scene, names: type[Names], deriver: str) -> None:
    """Nix writes none."""
    scene.row(names.tool, deriver=deriver)

    assert "warn" in {one.severity for one in scene.judge().findings if one.code == "EV217"}


def test_another_content_address_than_the_signed_one_is_worth_a_look(scene: Scene, names: type[Names]) -> None:
    """The bytes are held to the signed one."""
    scene.row(names.text, ca="text:sha256:" + "0" * 52)

    assert {"EV217": "warn"} == weights(scene)


def test_made_up_content_address_fails(scene: Scene, names: type[Names]) -> None:
    """Unless the bytes bear it out: then CI did not know of it."""
    scene.row(names.tool, ca="fixed:r:sha256:" + "0" * 52)

    assert {"EV210": "fail"} == weights(scene)

    scene.look(names.tool, deserved=names.tool)

    assert {} == weights(scene)


def test_output_that_leads_elsewhere_is_worth_a_look(scene: Scene, names: type[Names]) -> None:
    """And one that leads where CI says it does is not."""
    evil = names.store_path("evil")
    outputs = {f"{names.tool}.drv!out": evil, f"{names.library}.drv!out": names.library}
    scene.observe(database=Audit(outputs=outputs))

    assert {"EV217": "warn"} == weights(scene)
    assert evil in scene.message("EV217")
