"""Sending reports: to a dashboard that is well, ill, hostile or gone."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING

import pytest
import structlog

from ec_verify.config_tables import ReportTable
from ec_verify.errors import ConfigError, StateError
from ec_verify.report import submit
from ec_verify.report.submit import MEDIA_TYPE, Dashboard, Spool, SubmitError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ec_verify.conftest import Node
    from tests.ec_verify.report.conftest import Receiver

NONCE = "0123456789abcdef"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Give an empty spool."""
    return Spool(tmp_path / "spool")


def names(directory: Path) -> list[str]:
    """Return the names of the reports in *directory*, without what makes them unique."""
    return [path.name.rpartition("-")[0] for path in sorted(directory.glob("*.json"))]


class TestSending:
    """One report."""

    @pytest.mark.parametrize("status", [200, 201, 202, 208])
    def test_an_accepted_report_is_sent_once_and_whole(self, receiver: Receiver, status: int) -> None:
        """The address, the media type, the bytes as they were signed."""
        Dashboard(receiver.say(status).url).send(b"{envelope}\n")

        (request,) = receiver.requests
        assert ("/api/v1/reports", MEDIA_TYPE, b"{envelope}\n") == (
            request.path,
            request.headers["Content-Type"],
            request.body,
        )
        assert "Authorization" not in request.headers

    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
    def test_a_dashboard_that_is_ill_is_asked_again(self, receiver: Receiver, status: int) -> None:
        """The same bytes again, until they are taken."""
        Dashboard(receiver.say(status, status, 201).url).send(b"report")

        assert [b"report"] * 3 == receiver.bodies

    def test_a_dashboard_that_stays_ill_is_left_alone(self, receiver: Receiver) -> None:
        """Four attempts, then the report waits."""
        with pytest.raises(SubmitError, match="answered 503") as caught:
            Dashboard(receiver.say(*[503] * 9).url).send(b"report")

        assert (4, False, False) == (len(receiver.requests), caught.value.final, caught.value.answered)
        assert "stays in the spool" in (caught.value.hint or "")

    @pytest.mark.parametrize("status", [400, 409, 410, 413, 415, 422])
    def test_bytes_that_are_refused_are_refused_for_good(self, receiver: Receiver, status: int) -> None:
        """Sending them again is pointless."""
        with pytest.raises(SubmitError) as caught:
            Dashboard(receiver.say(status).url).send(b"report")

        assert (1, True, True) == (len(receiver.requests), caught.value.final, "refused" in (caught.value.hint or ""))

    @pytest.mark.parametrize("status", [204, 401, 403, 404, 405, 418, 501])
    def test_an_answer_about_us_or_the_address_refuses_no_bytes(self, receiver: Receiver, status: int) -> None:
        """A token that expired says nothing about the report."""
        with pytest.raises(SubmitError) as caught:
            Dashboard(receiver.say(status).url).send(b"report")

        assert (1, False, True) == (len(receiver.requests), caught.value.final, caught.value.answered)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_redirects_are_not_followed(
        self, receiver: Receiver, receivers: Callable[[], Receiver], status: int
    ) -> None:
        """A report and its token go to the configured address and nowhere else."""
        thief = receivers()
        receiver.say(status, headers={"Location": f"{thief.url}/api/v1/reports"})

        with pytest.raises(SubmitError, match=f"answered {status}"):
            Dashboard(receiver.url, "secret").send(b"report")

        assert [] == thief.requests

    def test_nobody_there_is_no_refusal(self, nowhere: str) -> None:
        """The report waits."""
        with pytest.raises(SubmitError) as caught:
            Dashboard(nowhere).send(b"report")

        assert (False, False, f"{nowhere}/api/v1/reports") == (
            caught.value.final,
            caught.value.answered,
            caught.value.place,
        )

    @pytest.mark.parametrize("url", ["http://[::1", "http://\x00", "http://"])
    def test_an_address_that_is_none_refuses_no_bytes(self, url: str) -> None:
        """A typing error in the configuration must not cost a report."""
        with pytest.raises(SubmitError) as caught:
            Dashboard(url).send(b"report")

        assert not caught.value.final

    def test_what_a_dashboard_says_is_cut_and_printable(self, receiver: Receiver) -> None:
        """Its words end up in our log."""
        receiver.say(400, body=b"\x1b]0;owned\x07\n\xff" + b"x" * 100_000)

        with pytest.raises(SubmitError) as caught:
            Dashboard(receiver.url).send(b"report")

        assert (True, True) == (str(caught.value).isprintable(), len(str(caught.value)) < 400)

    def test_an_answer_without_end_is_not_read_to_it(self) -> None:
        """A dashboard cannot fill our memory."""
        taken = []

        def serve(server: socket.socket) -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(1 << 16)
                peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                try:
                    while True:
                        taken.append(peer.send(b"x" * (1 << 16)))
                except OSError:
                    return

        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=serve, args=(server,))
            thread.start()
            Dashboard(f"http://127.0.0.1:{server.getsockname()[1]}").send(b"report")
            thread.join()

        assert sum(taken) < 64 << 20

    def test_a_compressed_answer_is_not_unpacked(self, receiver: Receiver) -> None:
        """A bomb stays as small as it travels; nothing compressed was asked for."""
        receiver.say(201, body=b"\x1f\x8b no gzip at all", headers={"Content-Encoding": "gzip"})

        Dashboard(receiver.url).send(b"report")

        assert "identity" == receiver.requests[0].headers["Accept-Encoding"]

    def test_proxies_of_the_environment_are_not_used(
        self, receiver: Receiver, nowhere: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where reports go is the configuration's word alone."""
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, nowhere)

        Dashboard(receiver.url).send(b"report")

        assert 1 == len(receiver.requests)


class TestToken:
    """Who we are, to the dashboard."""

    def test_it_is_read_from_its_file_and_sent_along(self, receiver: Receiver, tmp_path: Path) -> None:
        """White space around it is not part of it."""
        (tmp_path / "token").write_text(" secret-1\n")
        dashboard = Dashboard.of(ReportTable(url=f"{receiver.url}/", token_file=str(tmp_path / "token")))
        assert dashboard is not None

        dashboard.send(b"report")
        dashboard.nonce()

        assert ["Bearer secret-1"] * 2 == [request.headers["Authorization"] for request in receiver.requests]

    @pytest.mark.parametrize(
        "content", [b"", b"\n", b"two\nlines", b"a\r\nX-Evil: 1", b"\xff\xfe", "gehe\u00edm".encode()]
    )
    def test_a_file_that_holds_no_token_is_told_without_it(self, tmp_path: Path, content: bytes) -> None:
        """Line breaks would become headers; the message quotes nothing of a secret."""
        (tmp_path / "token").write_bytes(content)

        with pytest.raises(ConfigError, match="one line of printable") as caught:
            Dashboard.of(ReportTable(url="http://x", token_file=str(tmp_path / "token")))

        assert (str(tmp_path / "token"), True) == (caught.value.place, "report.token_file" in (caught.value.hint or ""))

    def test_a_file_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        """With its name."""
        with pytest.raises(ConfigError, match="cannot be read"):
            Dashboard.of(ReportTable(url="http://x", token_file=str(tmp_path / "token")))

    def test_no_address_is_no_dashboard(self) -> None:
        """Reporting is optional."""
        assert Dashboard.of(ReportTable()) is None


class TestNonce:
    """What makes a report fresh."""

    def test_it_is_asked_for_and_returned(self, receiver: Receiver) -> None:
        """One question."""
        receiver.say(201, body=json.dumps({"nonce": NONCE, "expires": 7}).encode())

        assert NONCE == Dashboard(receiver.url).nonce()
        assert ["/api/v1/nonces"] == receiver.paths

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"[]",
            b"{}",
            b'"0123456789abcdef"',
            b'{"nonce": 7}',
            b'{"nonce": "short"}',
            pytest.param(b'{"nonce": "%b"}' % (b"x" * 257), id="long"),
            b'{"nonce": "0123456789abcdef", "nonce": "fedcba9876543210"}',
            b"\xff",
            pytest.param(b"[" * 100_000, id="deep"),
            pytest.param(b'{"nonce": "0123456789abcdef"}' + b" " * 100_000, id="large"),
        ],
    )
    def test_an_answer_that_holds_none_is_none(self, receiver: Receiver, body: bytes) -> None:
        """The run goes on; the report counts as late."""
        with structlog.testing.capture_logs() as logs:
            assert Dashboard(receiver.say(201, body=body).url).nonce() is None

        assert ["no nonce: the report will count as late"] == [log["event"] for log in logs]

    @pytest.mark.parametrize("status", [301, 401, 404, 500, 503])
    def test_a_dashboard_that_does_not_answer_now_is_not_waited_for(self, receiver: Receiver, status: int) -> None:
        """One attempt: verification must not wait for a dashboard."""
        assert Dashboard(receiver.say(*[status] * 5).url).nonce() is None
        assert 1 == len(receiver.requests)

    def test_nobody_there_is_none(self, nowhere: str) -> None:
        """The same."""
        assert Dashboard(nowhere).nonce() is None


class TestSpool:
    """What waits."""

    def test_reports_are_sent_oldest_first_and_leave(self, spool: Spool, receiver: Receiver) -> None:
        """Order is the counter's."""
        for number in (3, 1, 2):
            spool.add(f"{number:010}-x", b"%d" % number)

        assert 3 == len(spool.send(Dashboard(receiver.url)).sent)
        assert ([b"1", b"2", b"3"], []) == (receiver.bodies, spool.waiting())

    def test_what_cannot_be_sent_waits_with_all_behind_it(self, spool: Spool, nowhere: str, receiver: Receiver) -> None:
        """Nothing overtakes, nothing is lost, and the next run sends it."""
        for number in (1, 2):
            spool.add(f"{number:010}-x", b"%d" % number)
        before = spool.waiting()

        with structlog.testing.capture_logs() as logs:
            assert 0 == len(spool.send(Dashboard(nowhere)).sent)

        assert before == spool.waiting()
        assert [2] == [log["waiting"] for log in logs if "waiting" in log]
        assert 2 == len(spool.send(Dashboard(receiver.url)).sent)

    def test_what_is_refused_for_good_is_moved_aside_and_the_rest_goes(
        self, spool: Spool, receiver: Receiver, tmp_path: Path
    ) -> None:
        """One bad report does not hold up the others, and is not dropped."""
        for number in (1, 2, 3):
            spool.add(f"{number:010}-x", b"%d" % number)
        receiver.say(201, 422, 201)

        with structlog.testing.capture_logs() as logs:
            assert 2 == len(spool.send(Dashboard(receiver.url)).sent)
        assert ["the dashboard refuses a report for good"] == [log["event"] for log in logs]
        (aside,) = (tmp_path / "spool" / "refused").iterdir()
        assert ([], b"2") == (spool.waiting(), aside.read_bytes())

    def test_what_is_refused_for_now_waits_and_a_few_more_are_tried(self, spool: Spool, receiver: Receiver) -> None:
        """Older reports may carry the signature of a key that is gone; an expired token is found out soon."""
        for number in range(1, 10):
            spool.add(f"{number:010}-x", b"%d" % number)

        assert 1 == len(spool.send(Dashboard(receiver.say(403, 201).say(*[401] * 9).url)).sent)
        assert 8 == len(spool.waiting())
        assert 1 + 1 + 4 == len(receiver.requests)

    def test_a_dashboard_that_falls_ill_ends_the_round(self, spool: Spool, receiver: Receiver) -> None:
        """What went before it has gone."""
        for number in (1, 2, 3):
            spool.add(f"{number:010}-x", b"%d" % number)

        assert 1 == len(spool.send(Dashboard(receiver.say(201, *[503] * 8).url)).sent)
        assert 2 == len(spool.waiting())

    def test_the_oldest_go_when_there_are_too_many(
        self, spool: Spool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """A dashboard that is gone for a year must not fill the disk; what goes is told."""
        monkeypatch.setattr(submit, "MAX_SPOOLED", 3)
        with structlog.testing.capture_logs() as logs:
            for number in range(5):
                spool.add(f"{number:010}-x", b"")

        assert ["0000000002-x", "0000000003-x", "0000000004-x"] == names(tmp_path / "spool")
        assert 2 == len(logs)

    def test_refused_reports_have_an_end_too(
        self, spool: Spool, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """A dashboard that refuses everything must not fill the disk."""
        monkeypatch.setattr(submit, "MAX_SPOOLED", 2)
        for number in range(4):
            spool.add(f"{number:010}-x", b"")
            spool.send(Dashboard(receiver.say(400).url))

        assert ["0000000002-x", "0000000003-x"] == names(tmp_path / "spool" / "refused")

    def test_a_spool_that_cannot_be_read_is_told(self, spool: Spool, receiver: Receiver, tmp_path: Path) -> None:
        """Something else lies in a report's place."""
        (tmp_path / "spool" / "0000000001-x.json").mkdir(parents=True)

        with pytest.raises(StateError, match="is a directory"):
            spool.send(Dashboard(receiver.url))

    def test_an_absent_spool_is_empty(self, spool: Spool) -> None:
        """Before the first report."""
        assert [] == spool.waiting()


@pytest.mark.nix
class TestRuns:
    """Whole runs that report."""

    def test_a_run_asks_for_a_nonce_and_sends_its_report(self, node: Node, receiver: Receiver) -> None:
        """The nonce comes back inside what was signed."""
        node.tables["report"] = {"url": receiver.url}
        receiver.say(201, body=json.dumps({"nonce": NONCE}).encode())

        ran = node.run("run", "--json")

        assert (0, NONCE, ["/api/v1/nonces", "/api/v1/reports"]) == (ran.exit, ran.report.nonce, receiver.paths)
        (kept,) = (node.state / "reports").glob("*.report.json")
        assert kept.read_bytes() == receiver.bodies[1]

    def test_a_report_that_could_not_be_sent_comes_with_the_next_run(
        self, node: Node, receiver: Receiver, nowhere: str
    ) -> None:
        """The verdict does not depend on the dashboard; order is kept."""
        node.tables["report"] = {"url": nowhere}
        first = node.run("run", "--json")
        assert (0, None, 1) == (first.exit, first.report.nonce, len(list((node.state / "spool").iterdir())))

        node.tables["report"] = {"url": receiver.url}
        second = node.run("run", "--json")

        kept = [path.read_bytes() for path in sorted((node.state / "reports").glob("*.report.json"))]
        assert (kept, [1, 2]) == (receiver.bodies[1:], [first.report.counter, second.report.counter])
        assert [] == list((node.state / "spool").iterdir())

    def test_a_run_without_a_dashboard_spools_nothing(self, node: Node) -> None:
        """The report is kept in its directory all the same."""
        assert 0 == node.run("run").exit

        assert (False, 1) == (
            (node.state / "spool").exists(),
            len(list((node.state / "reports").glob("*.report.json"))),
        )
