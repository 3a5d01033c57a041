"""Reports that one user makes and another sends: fresh once, whole, and not the sender's to change."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import structlog

from ec_closure import canonical
from ec_closure.courier import KeptNonce, Ledger, SentReport, SubmitOutput
from ec_verify.courier.ledger import Book, digest, read, settle
from ec_verify.errors import StateError
from ec_verify.report.submit import Dashboard, Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.ec_verify.conftest import Node, Ran
    from tests.ec_verify.report.conftest import Receiver

NONCE = "0123456789abcdef0123456789abcdef"
NOBODY = 65534


def submitted(ran: Ran) -> SubmitOutput:
    """Return what `submit --json` printed."""
    return msgspec.json.decode(ran.out.encode(), type=SubmitOutput)


def note(ran: Ran) -> str:
    """Return what coverage says of the report's nonce."""
    (found,) = (one for one in ran.report.coverage if one.step == "node")
    (text,) = (reason for reason in found.reasons if "nonce" in reason)
    return text


def offer(receiver: Receiver, nonce: str = NONCE) -> Receiver:
    """Let the dashboard give a nonce."""
    return receiver.say(201, body=json.dumps({"nonce": nonce}).encode())


def offline(node: Node) -> Ran:
    """Run without network."""
    return node.run("run", "--offline", "--json")


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Give a spool with three reports."""
    spool = Spool(tmp_path / "spool")
    for number in (1, 2, 3):
        spool.add(f"{number:010}-x", b"%d" % number)
    return spool


@pytest.fixture
def book(tmp_path: Path, spool: Spool) -> Book:
    """Give the courier's ledger."""
    (tmp_path / "courier").mkdir()
    return Book(tmp_path / "courier", spool)


class TestLedger:
    """What the courier notes, and what becomes of it."""

    def test_what_was_sent_is_noted_and_stays(
        self, spool: Spool, book: Book, receiver: Receiver, tmp_path: Path
    ) -> None:
        """The spool is not the courier's; nothing is sent twice all the same."""
        found = spool.send(Dashboard(receiver.say(201, 422, 201).url), book)

        assert (2, 1, ()) == (len(found.sent), len(found.refused), found.waiting)
        assert 3 == len(spool.waiting())
        assert SubmitOutput() == spool.send(Dashboard(receiver.url), Book(tmp_path / "courier", spool))
        assert [b"1", b"2", b"3"] == receiver.bodies

    def test_who_owns_the_spool_settles_it(self, spool: Spool, book: Book, receiver: Receiver, tmp_path: Path) -> None:
        """What was taken goes, what was refused for good is set aside, what waits stays; then the notes go, too."""
        spool.send(Dashboard(receiver.say(201, 422, *[503] * 9).url), book)

        settle(spool, read(tmp_path / "courier"))

        assert [b"3"] == [file.read_bytes() for file in spool.waiting()]
        assert [b"2"] == [file.read_bytes() for file in (tmp_path / "spool" / "refused").iterdir()]
        assert Ledger() == Book(tmp_path / "courier", spool).ledger

    def test_a_killed_submission_has_lost_nothing(self, spool: Spool, book: Book, tmp_path: Path) -> None:
        """Each report is noted as it goes."""
        first = spool.waiting()[0]
        book.accepted(first, b"1")

        assert Book(tmp_path / "courier", spool).knows(first)

    @pytest.mark.parametrize("name", ["../keys/node.pem", "refused", "", ".", "0000000001-x", "/etc/passwd"])
    def test_only_files_of_the_spool_go(self, spool: Spool, tmp_path: Path, name: str) -> None:
        """A name leads nowhere else."""
        (tmp_path / "keys").mkdir()
        (tmp_path / "keys" / "node.pem").write_text("key")
        before = spool.waiting()

        settle(spool, Ledger(reports=(SentReport(name=name or "x", sha256=digest(b"key")),)))

        assert (before, "key") == (spool.waiting(), (tmp_path / "keys" / "node.pem").read_text())

    def test_only_the_bytes_that_were_sent_go(self, spool: Spool) -> None:
        """A ledger of another time names other reports."""
        before = spool.waiting()

        settle(spool, Ledger(reports=tuple(SentReport(name=one.name, sha256=digest(b"other")) for one in before)))

        assert before == spool.waiting()

    @pytest.mark.parametrize("content", [b"", b"garbage", b'{"reports":[],"schema":"ec-runner.sent.v2"}\n'])
    def test_a_damaged_ledger_starts_anew(self, spool: Spool, tmp_path: Path, content: bytes) -> None:
        """Then reports go twice, which a dashboard answers with 208."""
        (tmp_path / "courier").mkdir()
        (tmp_path / "courier" / "sent.json").write_bytes(content)

        with structlog.testing.capture_logs() as logs:
            assert not Book(tmp_path / "courier", spool).knows(spool.waiting()[0])
        assert ["the ledger of sent reports starts anew"] == [log["event"] for log in logs]

    def test_a_spool_that_cannot_be_listed_is_not_empty(self, tmp_path: Path) -> None:
        """That would say that everything was sent."""
        (tmp_path / "spool").write_text("no directory")

        with pytest.raises(StateError, match="not a directory"):
            Spool(tmp_path / "spool").waiting()

    def test_reports_in_the_spool_are_for_its_group(self, spool: Spool) -> None:
        """And for nobody else: they tell what is wrong with a machine."""
        assert {0o640} == {file.stat().st_mode & 0o7777 for file in spool.waiting()}


@pytest.mark.nix
class TestNonce:
    """Fresh, once."""

    def test_a_fetched_nonce_comes_back_in_one_report(self, node: Node, receiver: Receiver) -> None:
        """The second report without another fetch is late, and says so."""
        node.tables["report"] = {"url": offer(receiver).url}
        assert "nonce     one" in node.run("fetch").out

        first, second = offline(node), offline(node)

        assert (NONCE, None) == (first.report.nonce, second.report.nonce)
        assert "fresh: the report carries the nonce that `ec-verify fetch` brought" == note(first)
        assert "the report carries no nonce and counts as late: that which was fetched was used already" == note(second)
        assert ["/api/v1/nonces"] == receiver.paths

    def test_nonces_of_before_stay_used(self, node: Node, receiver: Receiver) -> None:
        """Whoever owns the courier's directory puts back an old one: dashboards never see it again."""
        node.tables["report"] = {"url": receiver.url}
        for number in range(3):
            offer(receiver, f"{number}" * 32)
            node.run("fetch")
            kept = (node.state / "courier" / "nonce.json").read_bytes()
            assert f"{number}" * 32 == offline(node).report.nonce
            if not number:
                first = kept
        (node.state / "courier" / "nonce.json").write_bytes(first)

        assert None is offline(node).report.nonce

    @pytest.mark.parametrize("asked", [0, 2**40])
    def test_a_nonce_expires(self, node: Node, receiver: Receiver, asked: int) -> None:
        """A dashboard refuses an old one for good; without, the report is merely late. So with one of the future."""
        node.tables["report"] = {"url": receiver.url}
        (node.state / "courier").mkdir(parents=True)
        kept = KeptNonce(nonce=NONCE, asked=asked, url=receiver.url)
        (node.state / "courier" / "nonce.json").write_bytes(canonical.encode(kept))

        node.run("run", "--no-submit")

        ran = offline(node)

        assert (0, None, True) == (ran.exit, ran.report.nonce, note(ran).endswith("too old, or of the future"))

    def test_a_nonce_is_of_one_dashboard(self, node: Node, receiver: Receiver, nowhere: str) -> None:
        """Another one never gave it."""
        node.tables["report"] = {"url": offer(receiver).url}
        node.run("fetch")
        node.tables["report"] = {"url": nowhere}

        assert None is offline(node).report.nonce

    def test_a_fetch_without_nonce_leaves_no_old_one(self, node: Node, receiver: Receiver) -> None:
        """The dashboard may have forgotten it."""
        node.tables["report"] = {"url": offer(receiver).say(503).url}
        node.run("fetch")
        assert "nonce     none" in node.run("fetch").out

        assert (None, True) == ((ran := offline(node)).report.nonce, note(ran).endswith("`ec-verify fetch` left none"))

    @pytest.mark.parametrize("file", ["nonce.json", "sent.json"])
    @pytest.mark.parametrize("kind", ["garbage", "link", "pipe", "endless"])
    def test_what_is_planted_for_it_is_told_and_the_run_goes_on(
        self, node: Node, receiver: Receiver, file: str, kind: str
    ) -> None:
        """A report without a nonce, and with a finding."""
        node.tables["report"] = {"url": receiver.url}
        (node.state / "courier").mkdir(parents=True)
        place = node.state / "courier" / file
        if kind == "link":
            place.symlink_to("/etc/passwd")
        elif kind == "pipe":
            os.mkfifo(place)
        else:
            place.write_bytes(b"{}" if kind == "garbage" else b"")
        if kind == "endless":
            os.truncate(place, 1 << 40)
        assert 0 == node.run("run", "--no-submit").exit

        ran = offline(node)

        assert (0, None, {"EV118"}) == (ran.exit, ran.report.nonce, ran.codes)
        assert "root:" not in ran.out

    def test_without_a_dashboard_nothing_is_said_of_nonces(self, node: Node) -> None:
        """Reporting is optional."""
        ran = node.run("run", "--json")

        assert not [reason for one in ran.report.coverage for reason in one.reasons if "nonce" in reason]


@pytest.mark.nix
class TestSubmit:
    """The command."""

    def test_offline_asks_nobody_and_submit_sends(self, node: Node, receiver: Receiver) -> None:
        """What was signed is what arrives."""
        node.tables["report"] = {"url": receiver.url}
        assert 0 == node.run("run").exit
        del receiver.requests[:]
        offline(node)
        assert [] == receiver.requests

        ran = node.run("submit", "--json", time=False)

        assert (0, 1, (), ["/api/v1/reports"]) == (
            ran.exit,
            len(submitted(ran).sent),
            submitted(ran).waiting,
            receiver.paths,
        )
        newest = max((node.state / "reports").glob("*.report.json"))
        assert ([newest.read_bytes()], []) == (receiver.bodies, list((node.state / "spool").glob("*.json")))

    def test_a_run_may_keep_its_report_with_the_network_there(self, node: Node, receiver: Receiver) -> None:
        """Then it has no nonce, and says why."""
        node.tables["report"] = {"url": receiver.url}

        ran = node.run("run", "--no-submit", "--json")

        assert (0, [], 1) == (ran.exit, receiver.requests, len(list((node.state / "spool").iterdir())))
        assert note(ran).endswith("no dashboard was asked")

    def test_nothing_that_waits_is_success(self, node: Node, receiver: Receiver) -> None:
        """Also before the first run."""
        node.tables["report"] = {"url": receiver.url}

        assert (0, "nothing waits\n") == ((ran := node.run("submit", time=False)).exit, ran.out)

    def test_what_still_waits_is_undecided(self, node: Node, nowhere: str) -> None:
        """With the reason, and the next submission sends it."""
        node.tables["report"] = {"url": nowhere}
        node.run("run", "--no-submit")

        ran = node.run("submit", "--json", time=False)

        assert (3, 1, True) == (ran.exit, len(submitted(ran).waiting), bool(submitted(ran).reason))

    def test_what_is_refused_for_good_is_told(self, node: Node, receiver: Receiver) -> None:
        """It does not wait any more."""
        node.tables["report"] = {"url": receiver.say(422, body=b"no such node").url}
        node.run("run", "--no-submit")

        ran = node.run("submit", time=False)

        assert (0, True) == (ran.exit, "answered 422: no such node" in ran.out)

    def test_without_a_dashboard_it_makes_no_sense(self, node: Node) -> None:
        """Exit 2, and the key that is missing."""
        node.run("submit", time=False).assert_refused()

    @pytest.fixture
    def courier(self, node: Node) -> Iterator[Callable[[], None]]:
        """Give a function that becomes the courier, who may read the spool and owns one directory."""
        parents = [path for path in node.directory.parents if path.stat().st_uid == 0 and len(path.parts) > 2]
        modes = {path: path.stat().st_mode for path in (node.directory, *parents)}
        for path, mode in modes.items():
            path.chmod(mode | 0o011)
        node.state.mkdir(mode=0o711)
        for name, uid, mode in (("courier", NOBODY, 0o755), ("spool", 0, 0o2750)):
            (node.state / name).mkdir()
            os.chown(node.state / name, uid, NOBODY)
            (node.state / name).chmod(mode)

        def become() -> None:
            os.setegid(NOBODY)
            os.seteuid(NOBODY)

        yield become
        os.seteuid(0)
        os.setegid(0)
        for path, mode in modes.items():
            path.chmod(mode)

    @pytest.mark.root
    def test_a_user_without_rights_sends_what_it_cannot_alter(
        self, node: Node, receiver: Receiver, courier: Callable[[], None]
    ) -> None:
        """The next run takes out of the spool what was sent."""
        node.tables["report"] = {"url": receiver.url}
        assert 0 == node.run("run", "--no-submit").exit
        (file,) = (node.state / "spool").iterdir()
        arguments = ["submit", "--json", "--config", str(node.configure())]
        courier()

        ran = node.ran(*arguments)

        with pytest.raises(PermissionError):
            file.write_bytes(b"forged")
        with pytest.raises(PermissionError):
            file.unlink()
        with pytest.raises(PermissionError):
            (node.state / "keys" / "node.pem").read_bytes()
        os.seteuid(0)
        os.setegid(0)
        assert (0, (file.name,)) == (ran.exit, submitted(ran).sent)
        assert [file.read_bytes()] == receiver.bodies
        assert 0 == node.run("run", "--offline", "--json").exit
        assert file.name not in {one.name for one in (node.state / "spool").iterdir()}
        assert {0} == {path.stat().st_uid for path in (node.state / "spool").iterdir()}

    @pytest.mark.root
    def test_a_spool_that_the_courier_may_not_read_is_told(
        self, node: Node, receiver: Receiver, courier: Callable[[], None]
    ) -> None:
        """Nothing that waits must look like everything sent."""
        node.tables["report"] = {"url": receiver.url}
        (node.state / "spool").chmod(0o700)
        arguments = ["submit", "--config", str(node.configure())]
        courier()

        ran: Any = node.ran(*arguments)

        assert (3, True) == (ran.exit, "permission denied" in ran.err)
