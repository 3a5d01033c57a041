"""What the store holds beside the running system, and what the database says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from ec_closure.hashes import Hash
from ec_closure.report import MAX_LISTED
from ec_verify.scan.entries import Entry
from ec_verify.scan.oddity import Oddity

if TYPE_CHECKING:
    from tests.ec_verify.conftest import Names, Scene

    from ec_verify.scan.oddity import OddityKind


@pytest.fixture
def old(scene: Scene, names: type[Names]) -> str:
    """Give a path of another generation, which a trusted manifest lists and which is untouched."""
    path = names.store_path("old-system")
    other = names.manifest_of([names.record(path)], system=path, version=4)
    scene.trust(others=(other,)).add(path=path)
    return path


def test_a_registered_path_in_no_manifest_is_unlisted(scene: Scene, names: type[Names]) -> None:
    """A row of their own is what an intruder with root would write."""
    path = names.store_path("evil")
    scene.add(path=path)

    judged = scene.judge()

    assert ("failed", (path,), 1) == (judged.verdict, judged.unlisted.paths, judged.unlisted.count)


def test_a_path_that_policy_expects_is_not_unlisted(scene: Scene, names: type[Names]) -> None:
    """Patterns cover base names, and only those that match."""
    scene.add(path=names.store_path("hello-2.12")).policy(allowed_unlisted=("*-hello-*",))
    assert ("passed", 0) == (scene.judge().verdict, scene.judge().unlisted.count)

    scene.policy(allowed_unlisted=("hello-*",))
    assert "EV208" in scene.codes()


def test_an_expected_path_must_still_be_what_the_database_registers(scene: Scene, names: type[Names]) -> None:
    """Policy allows a path to be there, not to be altered."""
    path = names.store_path("hello-2.12")
    scene.policy(allowed_unlisted=("*-hello-*",)).add(path=path, nar_hash=names.sri("evil"))

    assert ["EV211"] == scene.codes()


@pytest.mark.parametrize(
    ("look", "codes"),
    [
        ({"nar_hash": None, "problem": "missing"}, ["EV202"]),
        ({"nar_hash": None, "problem": "unarchivable"}, ["EV211"]),
        ({"nar_hash": None, "problem": "oversized"}, ["EV211"]),
        ({"nar_hash": None, "problem": "unreadable"}, ["EV213"]),
        ({"nar_hash": None, "problem": "changed"}, ["EV213"]),
    ],
)
def test_an_unlisted_path_is_held_against_its_row(
    scene: Scene, names: type[Names], look: dict[str, object], codes: list[str]
) -> None:
    """Where no manifest speaks, the database is at least asked to tell the truth."""
    scene.policy(allowed_unlisted=("*-hello",)).add(path=names.store_path("hello"), **look)

    assert codes == scene.codes()


def test_a_path_larger_than_signed_is_corrupt(scene: Scene, names: type[Names], old: str) -> None:
    """Reading it stopped, and no hash is needed to know: by whoever spoke for the path."""
    hello = names.store_path("hello")
    scene.policy(allowed_unlisted=("*-hello",)).add(path=hello)
    for path in (names.tool, names.text, old, hello):
        scene.look(path, nar_hash=None, problem="oversized", detail="more than 120 bytes as an archive")

    judged = scene.judge()

    assert ("failed", "corrupt", "corrupt") == (
        judged.verdict, scene.verdict_on(names.tool), scene.verdict_on(names.text)
    )  # fmt: skip
    told = {finding.path: (finding.code, finding.message.partition("; ")[2]) for finding in judged.findings}
    why = "larger than signed: more than 120 bytes as an archive"
    assert {
        names.tool: ("EV201", why),
        names.text: ("EV201", why),
        old: ("EV201", why),
        hello: ("EV211", "larger than registered: more than 120 bytes as an archive"),
    } == told


@pytest.mark.parametrize("problem", ["unreadable", "changed"])
def test_a_path_that_cannot_be_read_leaves_a_hole_in_the_level(scene: Scene, names: type[Names], problem: str) -> None:
    """Also one outside the running system: level bytes is about the whole store."""
    scene.policy(allowed_unlisted=("*-hello",))
    scene.add(path=names.store_path("hello"), nar_hash=None, problem=problem)

    judged = scene.judge()

    assert ("undecided", None) == (judged.verdict, judged.level_reached)


def test_a_content_address_in_a_row_is_checked_against_the_bytes(scene: Scene, names: type[Names]) -> None:
    """The database's `ca` string frees from signatures in Nix; here it promises bytes."""
    path = names.store_path("hello")
    scene.policy(allowed_unlisted=("*-hello",)).add(path=path, deserved=names.store_path("other"))
    scene.row(path, ca="text:sha256:whatever")

    assert ["EV210"] == scene.codes()


def test_another_generation_of_the_system_is_known(scene: Scene, old: str) -> None:
    """A rollback target with a trusted manifest is no intruder."""
    assert ("passed", 0) == (scene.judge().verdict, scene.judge().unlisted.count)
    assert old in scene.case.observation.rows


@pytest.mark.parametrize(
    ("look", "code"),
    [
        ({"nar_hash": "sha256-evil"}, "EV201"),
        ({"nar_hash": None, "problem": "unarchivable"}, "EV201"),
        ({"nar_hash": None, "problem": "oversized"}, "EV201"),
        ({"nar_hash": None, "problem": "missing"}, "EV202"),
        ({"nar_hash": None, "problem": "unreadable"}, "EV213"),
        ({"nar_hash": None, "problem": "changed"}, "EV213"),
    ],
)
def test_another_generation_is_judged_as_strictly(scene: Scene, old: str, look: dict[str, object], code: str) -> None:
    """What the next rollback would run is not taken on trust."""
    scene.look(old, **look)

    assert [code] == scene.codes()


def test_another_generation_may_be_collected_whole(scene: Scene, old: str) -> None:
    """Neither row nor bytes: garbage collection did its work."""
    scene.drop(old, look=False).look(old, nar_hash=None, problem="missing")

    assert ("passed", []) == (scene.judge().verdict, scene.codes())


def test_bytes_without_their_row_do_not_escape_because_an_old_manifest_knows_them(scene: Scene, old: str) -> None:
    """Deleting the row must not hide altered bytes of another generation."""
    scene.drop(old, look=False).look(old, nar_hash="sha256-evil")

    assert ["EV201", "EV212"] == scene.codes()


def test_rows_of_another_generation_are_compared_too(scene: Scene, names: type[Names], old: str) -> None:
    """A reference that was cut there breaks the rollback."""
    scene.row(old, references=(names.library,))

    assert ["EV212"] == scene.codes()


def test_an_image_may_hold_more_than_its_closure(scene: Scene, names: type[Names]) -> None:
    """What the manifest lists as contents is known, and held to its hash."""
    path = names.store_path("installer")
    manifest = scene.case.manifest
    assert manifest is not None
    scene.add(path=path)
    assert "EV208" in scene.codes()

    contents = (names.record(path),)
    scene.trust(manifest=msgspec.structs.replace(manifest, contents=contents))
    assert [] == scene.codes()
    assert ["EV201"] == scene.look(path, nar_hash=names.sri("evil")).codes()


def test_without_a_manifest_bytes_are_still_held_against_the_database(scene: Scene, names: type[Names]) -> None:
    """A tampered path fails the run even where nothing can be proven."""
    scene.trust(manifest=None).look(names.tool, nar_hash=names.sri("evil"))

    judged = scene.judge()

    assert ("failed", ["EV211"], ()) == (judged.verdict, [one.code for one in judged.findings], judged.paths)


def test_without_a_manifest_nothing_is_unlisted(scene: Scene) -> None:
    """Where no manifest is trusted, being in none is no news."""
    judged = scene.trust(manifest=None).judge()

    assert ("undecided", 0, ()) == (judged.verdict, judged.unlisted.count, judged.findings)


def test_a_database_that_cannot_be_read_is_one_finding_not_one_a_path(scene: Scene, names: type[Names]) -> None:
    """No rows at all is told once; the bytes are judged by the manifest."""
    scene.observe(rows={}, problems=(names.problem("EV211"),)).look(names.tool, nar_hash=names.sri("evil"))

    assert ["EV201", "EV211"] == scene.codes()


def test_a_changing_store_does_not_excuse_an_edited_row(scene: Scene, names: type[Names]) -> None:
    """Touching any path during the run must not silence what the database says wrongly."""
    scene.row(names.tool, nar_hash=Hash.parse(names.sri("evil"))).observe(problems=(names.problem("EV505"),))

    assert ("failed", ["EV212", "EV505"]) == (scene.judge().verdict, scene.codes())


def test_an_unknown_entry_is_extra_unless_policy_expects_it(scene: Scene) -> None:
    """Patterns cover names; what is under way is told, but is nobody's fault."""
    scene.observe(entries=(Entry("lost+found", "extra"), Entry("trash", "in flight")))
    assert ("failed", 1) == (scene.judge().verdict, scene.judge().extra.count)

    scene.policy(allowed_extra=("lost+found",))
    assert ("passed", ["EV214"]) == (scene.judge().verdict, scene.codes())


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("mode", "EV203"),
        ("owner", "EV204"),
        ("mtime", "EV205"),
        ("setid", "EV206"),
        ("xattr", "EV207"),
        ("stranger", "EV209"),
    ],
)
def test_what_is_odd_beside_the_paths_is_told(scene: Scene, kind: OddityKind, code: str) -> None:
    """Of the store directory itself, and of what hides under names that Nix uses."""
    scene.policy(allowed_extra=("*",))
    scene.observe(oddities=(Oddity(kind, "", "this way"), Oddity(kind, "tmp-1-1/x", "that way", 1000)))

    assert [
        (code, "/nix/store", "the store directory: this way"),
        (code, "/nix/store/tmp-1-1/x", "tmp-1-1/x: that way (and 999 more)"),
    ] == [(one.code, one.path, one.message) for one in scene.judge().findings]
    assert ("passed" if code == "EV205" else "failed") == scene.judge().verdict


def test_what_is_held_by_others_leaves_a_hole(scene: Scene) -> None:
    """Neither failed nor passed: a lock must not be a place to hide."""
    scene.observe(entries=(Entry("x", "in flight"),), partial=("1 entries are being made",))

    judged = scene.judge()

    assert ("undecided", None, ["EV214"]) == (judged.verdict, judged.level_reached, scene.codes())
    (step,) = (step for step in judged.coverage if step.step == "bytes")
    assert {"1 entries are being made": 1} == step.reasons


def test_ten_thousand_intruders_are_counted_and_the_first_are_named(scene: Scene, names: type[Names]) -> None:
    """A report has an end; the count does not lie."""
    rows, looks = dict(scene.case.observation.rows), dict(scene.case.observation.paths)
    for number in range(MAX_LISTED + 5):
        signed = names.record(names.store_path(f"evil-{number}"))
        rows[signed.path], looks[signed.path] = names.row_of(signed), names.look_of(signed)
    entries = tuple(Entry(f"extra-{number:05}", "extra") for number in range(MAX_LISTED + 7))
    scene.observe(rows=rows, paths=looks, entries=entries)

    judged = scene.judge()

    assert (MAX_LISTED + 5, MAX_LISTED) == (judged.unlisted.count, len(judged.unlisted.paths))
    assert (MAX_LISTED + 7, MAX_LISTED) == (judged.extra.count, len(judged.extra.paths))
    # Every one is judged, for policy may accept some; the report cuts.
    assert 2 * MAX_LISTED + 12 == len(judged.findings)


def test_differing_paths_are_capped(scene: Scene, names: type[Names]) -> None:
    """Ten thousand altered paths are verdicts each, and the first thousand hashes are told."""
    records = [names.record(names.store_path(f"part-{number}")) for number in range(MAX_LISTED + 1)]
    manifest = names.manifest_of([*records, names.record(names.system)])
    evil = {one.path: replace(names.look_of(one), nar_hash=names.sri("evil")) for one in records}
    scene.trust(manifest=manifest).observe(rows={one.path: names.row_of(one) for one in records}, paths=evil)

    judged = scene.judge()

    assert (MAX_LISTED, {"corrupt": MAX_LISTED + 1, "unchecked": 1}) == (len(judged.differing), judged.counts)
