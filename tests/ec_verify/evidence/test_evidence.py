"""Evidence bundles: repeated by a third party, and contradicted when anything in them was touched."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import msgspec
import pytest

from ec_closure import archive, canonical, dsse, evidence, intoto
from ec_closure import report as reports
from ec_closure.evidence import EvidenceCheck, EvidenceIndex
from ec_verify import main
from ec_verify.state import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ec_verify.conftest import Node, Ran

pytestmark = pytest.mark.nix


def bundle(node: Node) -> dict[str, bytes]:
    """Run the verifier and return the members of the bundle."""
    node.run("run", "--evidence", node.directory / "evidence.tar")
    data = (node.directory / "evidence.tar").read_bytes()
    return archive.unpack(data, what="bundle", max_bytes=1 << 30, max_member=1 << 30)


def check(node: Node, members: dict[str, bytes] | bytes, *arguments: str) -> Ran:
    """Check a bundle of *members* on a machine that has nothing but the pinned root."""
    file = node.directory / "given.tar"
    file.write_bytes(members if isinstance(members, bytes) else archive.pack(members))
    return node.ran("check-evidence", str(file), "--trust-root", str(node.signed.pinned), *arguments)


def told(ran: Ran) -> EvidenceCheck:
    """Return what `--json` printed."""
    return msgspec.json.decode(ran.out.encode(), type=EvidenceCheck)


def broken(ran: Ran) -> tuple[str, str]:
    """Return the step that is contradicted, and why."""
    (step,) = (one for one in told(ran).steps if one.result == "contradicted")
    return step.step, step.detail


def reseal(node: Node, members: dict[str, bytes], change: Callable[[reports.Report], reports.Report]) -> None:
    """Let the node itself, with its own key, sign something else: index and report are made to fit."""
    old = msgspec.json.decode(members[evidence.INDEX], type=EvidenceIndex)
    rest = {name: data for name, data in members.items() if name not in (evidence.REPORT, evidence.INDEX)}
    index = evidence.index_of(rest, old.manifests, has_manifest=old.has_manifest, refreshed=old.refreshed)
    key = State(node.state).key()
    payload = dsse.verify(members[evidence.REPORT], intoto.PAYLOAD_TYPE, [key.public_key])
    statement = reports.decode(payload)
    report = msgspec.structs.replace(change(statement.predicate), evidence_digest=canonical.digest(index))
    members[evidence.INDEX] = index
    members[evidence.REPORT] = dsse.sign(reports.statement(report, statement.subject[0]), intoto.PAYLOAD_TYPE, [key])


def test_a_bundle_of_a_run_that_passed_verifies_from_the_root_alone(node: Node) -> None:
    """Without store, state, configuration or network of the node."""
    members = bundle(node)
    for directory in (node.state, node.root, node.site):
        shutil.rmtree(directory)

    ran = check(node, members, "--json")

    assert (0, "verified", "passed") == (ran.exit, (found := told(ran)).outcome, found.verdict)
    assert {"holds"} == {one.result for one in found.steps}
    assert any("came with the bundle" in one for one in found.limits)


def test_a_bundle_of_a_run_that_failed_verifies_with_the_same_findings(node: Node) -> None:
    """Exit 1, as the run: bad news is evidence, too."""
    node.physical("library").chmod(0o666)
    failed = node.run("run", "--json", "--evidence", node.directory / "evidence.tar")

    ran = check(node, (node.directory / "evidence.tar").read_bytes(), "--json")

    assert (1, 1, "verified", "failed") == (failed.exit, ran.exit, (found := told(ran)).outcome, found.verdict)
    assert [f"{one.code} {one.severity} {one.message}" for one in failed.report.findings] == list(found.findings)


def test_an_undecided_run_stays_undecided(node: Node) -> None:
    """Without a root there is nothing to follow from: exit 3."""
    node.tables["trust"] = {"root": ""}

    ran = check(node, bundle(node), "--json")

    assert (3, "verified", "undecided", None) == (ran.exit, (found := told(ran)).outcome, found.verdict, found.release)


def test_an_offline_run_verifies(node: Node) -> None:
    """From the last verified metadata, whose age the report says."""
    node.run("run")
    node.run("run", "--offline", "--evidence", node.directory / "evidence.tar")

    assert 0 == check(node, (node.directory / "evidence.tar").read_bytes()).exit


def test_the_nodes_own_key_is_accepted_and_another_is_not(node: Node, tmp_path: Path) -> None:
    """Who enrolled the node knows its key."""
    members = bundle(node)
    (tmp_path / "node.pem").write_text(node.run("key", time=False).out)
    shutil.move(node.state, tmp_path / "away")
    (tmp_path / "other.pem").write_text(node.run("key", time=False).out)

    mine = check(node, members, "--json", "--node-key", str(tmp_path / "node.pem"))
    other = check(node, members, "--json", "--node-key", str(tmp_path / "other.pem"))

    assert (0, False) == (mine.exit, any("came with the bundle" in one for one in told(mine).limits))
    assert (1, "signature") == (other.exit, broken(other)[0])


@pytest.mark.parametrize("position", range(11))
def test_each_altered_or_removed_member_is_noticed(node: Node, position: int) -> None:
    """One bit, or all of it: exit 1 or 2, and a line that says where."""
    members = bundle(node)
    assert 11 == len(members)
    name = sorted(members)[position]
    flipped = bytearray(members[name] or b" ")
    flipped[len(flipped) // 2] ^= 1

    for changed in (members | {name: bytes(flipped)}, {one: data for one, data in members.items() if one != name}):
        ran = check(node, changed)
        assert ran.exit in (1, 2)
        assert "CONTRADICTED" in ran.out or ran.err.startswith("ec-verify: ")


def test_a_member_that_nobody_listed_is_noticed(node: Node) -> None:
    """Nothing rides along."""
    assert ("members", "trust/9.root.json is listed nowhere") == broken(
        check(node, bundle(node) | {"trust/9.root.json": b"{}"}, "--json")
    )


@pytest.mark.parametrize("name", [evidence.REPORT, evidence.INDEX, evidence.CASE, "trust/timestamp.json"])
def test_a_member_of_another_time_is_noticed(node: Node, name: str) -> None:
    """Two runs of one node cannot be mixed."""
    members = bundle(node)
    node.publish(
        2,
        msgspec.structs.replace(
            node.signed.manifest, release=node.signed.manifest.release.__class__(tag="v2", version=2, issued=0)
        ),
    )
    node.physical("library").chmod(0o666)
    later = bundle(node)
    assert members[name] != later[name]

    assert 1 == check(node, members | {name: later[name]}).exit


def test_a_node_that_signs_a_verdict_of_its_own_is_contradicted(node: Node) -> None:
    """Its key signs what it likes, but the judge does not say it."""
    node.physical("library").chmod(0o666)
    members = bundle(node)

    reseal(node, members, lambda one: msgspec.structs.replace(one, verdict="passed", findings=()))

    assert ("report", True) == (
        (found := broken(check(node, members, "--json")))[0],
        found[1].startswith("the report's verdict is not what the judge concludes"),
    )


def test_a_node_that_brings_its_own_manifest_is_contradicted(node: Node) -> None:
    """The metadata name the bytes, and the root the metadata."""
    members = bundle(node)
    members["manifests/000.zst"] = canonical.compress(b"{}\n")

    reseal(node, members, lambda one: one)

    assert "trust" == broken(check(node, members, "--json"))[0]


def test_a_bundle_of_another_trust_root_is_contradicted(node: Node, tmp_path: Path) -> None:
    """Whoever runs their own release server proves nothing to others."""
    from datetime import UTC, datetime

    from ec_release.backend.directory import DirectoryBackend
    from ec_release.trust.initialise import initialise
    from ec_release.trust.roles import Periods

    made = initialise(
        DirectoryBackend(tmp_path / "other"),
        tmp_path / "keys",
        root_keys=1,
        root_threshold=1,
        time=datetime(2026, 11, 20, 12, tzinfo=UTC),
        periods=Periods(),
    )
    file = node.directory / "x.tar"
    file.write_bytes(archive.pack(bundle(node)))

    ran = node.ran("check-evidence", str(file), "--trust-root", str(made.root), "--json")

    assert (1, "trust") == (ran.exit, broken(ran)[0])


def test_metadata_that_expired_at_the_asked_time_leave_it_undecided(node: Node) -> None:
    """By default the report's own time counts, and it says so."""
    members = bundle(node)

    ran = check(node, members, "--time", "2036-01-01T00:00:00Z")

    assert (3, True) == (ran.exit, "had expired at 2036-01-01" in ran.out)
    assert "metadata judged as of 2026-11-20 12:00 UTC" in check(node, members).out


def test_what_is_no_bundle_is_refused(node: Node, tmp_path: Path) -> None:
    """Truncated, empty, a bomb, another archive: exit 2 and one line."""
    members = bundle(node)
    whole = archive.pack(members)
    check(node, whole[:-1]).assert_refused()
    check(node, b"").assert_refused()
    check(node, archive.pack({"x": b""})).assert_refused()
    (tmp_path / "sparse").touch()
    with (tmp_path / "sparse").open("r+b") as file:
        file.truncate(evidence.MAX_BYTES + 1)
    node.ran("check-evidence", str(tmp_path / "sparse"), "--trust-root", str(node.signed.pinned)).assert_refused()
    node.ran("check-evidence", str(tmp_path / "none"), "--trust-root", str(node.signed.pinned)).assert_refused()


def test_a_case_that_is_a_bomb_is_refused(node: Node) -> None:
    """A node that signs a frame of gigabytes costs nothing but its size on the disk."""
    members = bundle(node)
    frame = bytearray(canonical.compress(b"\0" * 1000))
    # The frame's header states the size: two bytes, less 256.
    frame[5:7] = (65535).to_bytes(2, "little")
    members[evidence.CASE] = bytes(frame)
    reseal(node, members, lambda one: one)

    check(node, members).assert_refused()


def test_a_bundle_lies_beside_each_report_where_that_is_asked_for(node: Node) -> None:
    """And is pruned with them; nobody but its owner reads it."""
    node.tables["report"] = {"evidence": True, "keep": 2}
    for _ in range(3):
        node.run("run")

    kept = sorted((node.state / "reports").glob("*.evidence.tar"))

    assert (2, {0o600}) == (len(kept), {file.stat().st_mode & 0o777 for file in kept})
    assert kept[-1].read_bytes() == (node.state / "last-evidence.tar").read_bytes()


def test_the_evidence_of_the_last_run_is_written_on_request(node: Node) -> None:
    """Before the first run there is none."""
    file = node.directory / "evidence.tar"
    node.run("evidence", file, time=False).assert_refused(3)
    node.run("run")

    assert f"wrote {file}, {(node.state / 'last-evidence.tar').stat().st_size} bytes\n" == (
        node.run("evidence", file, time=False).out
    )
    assert 0 == main.run(["check-evidence", str(file), "--trust-root", str(node.signed.pinned)])
