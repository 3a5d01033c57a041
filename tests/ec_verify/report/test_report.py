"""What a run writes: a signed report whatever the verdict, a summary of what passed, and what is kept of them."""

from __future__ import annotations

import hashlib
import os
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.signer import SSlibKey

from ec_closure import canonical, dsse, intoto, report, vsa
from ec_closure.errors import TrustError
from ec_closure.hashes import Hash
from ec_closure.report import RunOutput, unpack_verdicts
from ec_verify.report import deliver
from ec_verify.state import State

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ec_verify.conftest import Node

pytestmark = pytest.mark.nix


def newest(node: Node, kind: str = "report") -> bytes:
    """Return the newest file of *kind* that the node wrote."""
    return max((node.state / "reports").glob(f"*.{kind}.json")).read_bytes()


def verified(node: Node, kind: str = "report") -> bytes:
    """Return the payload of the newest envelope, verified with the node's key."""
    return dsse.verify(newest(node, kind), intoto.PAYLOAD_TYPE, [State(node.state).key().public_key])


def change(path: Path, data: bytes) -> None:
    """Alter a file of the store without a trace in its metadata."""
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)
    os.utime(path, (1, 1))


def test_a_report_verifies_with_the_nodes_key_and_says_what_was_printed(node: Node) -> None:
    """The printed result is the signed one, with the verdicts in words."""
    ran = node.run("run", "--json")

    found = report.decode(verified(node))

    assert (0, "passed") == (ran.exit, ran.report.verdict)
    expected = {name: getattr(ran.report, name) for name in report.Report.__struct_fields__}
    assert report.Report(**expected) == found.predicate
    assert list(ran.report.paths.values()) == unpack_verdicts(found.predicate.verdicts)


def test_the_public_key_that_is_printed_verifies_it(node: Node) -> None:
    """What an operator enrols is what signs."""
    node.run("run")
    printed = node.run("key", time=False).out
    key = msgspec.json.decode(node.run("key", "--json", time=False).out)

    public = SSlibKey.from_crypto(load_pem_public_key(printed.encode()))

    assert dsse.verify(newest(node), intoto.PAYLOAD_TYPE, [public])
    assert (printed, public.keyid, public.keyval["public"], "node-1") == (
        key["pem"],
        key["keyid"],
        key["public"],
        key["node"],
    )


def test_another_key_verifies_nothing(node: Node, tmp_path: Path) -> None:
    """A report is of this node and no other."""
    node.run("run")

    with pytest.raises(TrustError):
        dsse.verify(newest(node), intoto.PAYLOAD_TYPE, [State(tmp_path / "other").key().public_key])


def test_the_subject_is_the_running_system_by_the_hash_of_its_archive(node: Node) -> None:
    """So that `nix-store --dump PATH | sha256sum` gives the number."""
    node.run("run")
    (subject,) = report.decode(verified(node)).subject

    dumped = subprocess.run(["nix-store", "--dump", node.physical("system")], capture_output=True, check=True).stdout

    assert (node.path("system"), {"sha256": hashlib.sha256(dumped).hexdigest()}) == (subject.name, subject.digest)


def test_the_subject_is_the_system_as_it_lies_there(node: Node) -> None:
    """An altered system is reported with the hash that was seen, not the one that was signed."""
    signed = {record.path: record.nar_hash for record in node.signed.manifest.paths}[node.path("system")]
    change(node.physical("system") / "init", b"evil\n")

    ran = node.run("run", "--json")
    (subject,) = report.decode(verified(node)).subject

    (differing,) = ran.report.differing
    assert (node.path("system"), True) == (differing.path, differing.nar_hash != signed)
    assert {"sha256": Hash.parse(differing.nar_hash).base16} == subject.digest


@pytest.mark.parametrize("how", ["removed", "no link"])
def test_a_system_that_cannot_be_hashed_stands_for_itself(node: Node, how: str) -> None:
    """There is no digest to give, and the verdict is not passed."""
    if how == "removed":
        node.physical("system").rename(node.root / "nix" / "aside")
    else:
        (node.root / "run" / "current-system").unlink()

    ran = node.run("run", "--json")
    (subject,) = report.decode(verified(node)).subject

    assert {"nixStorePath": ran.report.toplevel} == subject.digest
    assert (1, node.path("system") if how == "removed" else "none") == (ran.exit, ran.report.toplevel)


def test_failed_and_undecided_runs_are_signed_too(node: Node) -> None:
    """Silence must not be better than a bad report."""
    change(node.physical("library"), b"evil\n")
    assert 1 == node.run("run").exit
    failed = report.decode(verified(node)).predicate
    assert ("failed", {"corrupt": 1}) == (failed.verdict, {"corrupt": failed.counts["corrupt"]})

    node.tables["trust"] = {"root": str(node.directory / "none.json")}
    change(node.physical("library"), b"a library\n")
    assert 3 == node.run("run").exit
    undecided = report.decode(verified(node)).predicate
    assert ("undecided", None, "") == (undecided.verdict, undecided.manifest, undecided.verdicts)


def test_only_what_passed_has_a_summary(node: Node) -> None:
    """A VSA says PASSED, names level, policy, manifest and report, and is signed by the same key."""
    change(node.physical("library"), b"evil\n")
    node.run("run")
    assert [] == list((node.state / "reports").glob("*.vsa.json"))

    change(node.physical("library"), b"a library\n")
    ran = node.run("run", "--json")

    statement = msgspec.json.decode(verified(node, "vsa"))
    predicate = statement["predicate"]
    assert ran.report.manifest is not None
    digests = [entry["digest"]["sha256"] for entry in predicate["inputAttestations"]]
    assert (vsa.PREDICATE_TYPE, "PASSED", ["EC_VERIFY_BYTES"]) == (
        statement["predicateType"],
        predicate["verificationResult"],
        predicate["verifiedLevels"],
    )
    assert [ran.report.manifest.digest, hashlib.sha256(newest(node)).hexdigest()] == digests
    assert ran.report.policy_digest == predicate["policy"]["digest"]["sha256"]
    assert report.decode(verified(node)).subject[0].digest == statement["subject"][0]["digest"]


def test_the_digests_are_those_of_the_files_that_were_read(node: Node) -> None:
    """Whoever has the files can compare."""
    ran = node.run("run", "--json")

    assert (
        canonical.digest((node.directory / "verify.toml").read_bytes()),
        canonical.digest((node.directory / "policy.toml").read_bytes()),
        canonical.digest(node.manifest_file.read_bytes()),
    ) == (
        ran.report.config_digest,
        ran.report.policy_digest,
        ran.report.manifest.digest if ran.report.manifest else None,
    )


def test_times_and_counters_are_told(node: Node) -> None:
    """The reference time judges; start and end are the machine's clock."""
    before = int(datetime.now(UTC).timestamp())
    first, second = node.run("run", "--json").report, node.run("run", "--json").report

    assert (1, 2) == (first.counter, second.counter)
    assert before <= first.started <= first.finished <= second.started
    assert {int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp())} == {first.reference_time, second.reference_time}


def test_names_on_the_disk_do_not_stop_a_report(node: Node) -> None:
    """Bytes that are no UTF-8 and escape sequences are spelled out in what is signed."""
    (node.root / "nix" / "store" / os.fsdecode(b"\xff\x1b[2K")).write_bytes(b"")

    ran = node.run("run", "--json")

    assert 1 == ran.exit
    assert ("/nix/store/\\xff\\x1b[2K",) == report.decode(verified(node)).predicate.extra.paths


class TestKeeping:
    """What stays on the node."""

    def test_the_newest_reports_are_kept(self, node: Node) -> None:
        """As many as the configuration says, with their summaries."""
        node.tables["report"] = {"keep": 2}
        for _ in range(4):
            node.run("run")

        kept = sorted(path.name.partition("-")[0] for path in (node.state / "reports").iterdir())
        assert ["0000000003", "0000000003", "0000000004", "0000000004"] == kept

    def test_a_clock_that_was_set_back_does_not_prune_the_newest(
        self, node: Node, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Machines without a clock start in 1970: the counter orders."""
        node.tables["report"] = {"keep": 1}
        node.run("run")

        class Reset(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Reset:
                return cls(1970, 1, 1, tzinfo=tz)

        monkeypatch.setattr(deliver, "datetime", Reset)
        node.run("run")

        assert ["0000000002-19700101T000000Z.report.json"] == [
            path.name for path in (node.state / "reports").glob("*.report.json")
        ]

    def test_reports_go_where_the_configuration_says(self, node: Node) -> None:
        """And are readable there: they hold no secret."""
        node.tables["report"] = {"directory": str(node.directory / "elsewhere")}
        node.run("run")

        (kept,) = (node.directory / "elsewhere").glob("*.report.json")
        assert (0o644, False) == (kept.stat().st_mode & 0o777, (node.state / "reports").exists())

    def test_the_last_run_is_remembered_for_status(self, node: Node) -> None:
        """In words, as it was printed."""
        ran = node.run("run", "--json")

        assert ran.report == msgspec.json.decode((node.state / "last-run.json").read_bytes(), type=RunOutput)

    def test_looking_without_reporting_leaves_no_trace(self, node: Node) -> None:
        """`scan` takes no number, signs nothing, sends nothing."""
        assert 0 == node.run("scan", "--json").exit

        assert {"lock", "trust"} == {path.name for path in node.state.iterdir()}

    @pytest.mark.parametrize("tampered", [True, False])
    def test_a_disk_that_is_full_does_not_hide_the_verdict(self, node: Node, tampered: bool) -> None:  # noqa: FBT001 - a table
        """A run that failed says so with its exit code; one that passed cannot, without its report."""
        if tampered:
            change(node.physical("library"), b"evil\n")
        (node.directory / "elsewhere").write_bytes(b"")
        node.tables["report"] = {"directory": str(node.directory / "elsewhere" / "reports")}

        ran = node.run("run", "--json")

        assert (1 if tampered else 3, "failed" if tampered else "passed") == (ran.exit, ran.report.verdict)
        assert "the report was not delivered" in ran.err

    def test_a_damaged_counter_does_not_hide_the_verdict(self, node: Node) -> None:
        """Nothing is signed without a number, but everything is said."""
        State(node.state).write("counter", b"garbage")

        ran = node.run("run", "--json")

        assert (3, "passed", 0, False) == (
            ran.exit,
            ran.report.verdict,
            ran.report.counter,
            (node.state / "reports").exists(),
        )
        assert "holds no number" in ran.err
