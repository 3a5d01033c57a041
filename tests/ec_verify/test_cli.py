"""The command line: what it answers, and how it refuses."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from ec_closure.content_address import ContentAddress, store_path_of
from ec_closure.hashes import Hash
from ec_closure.nar.hash import hash_path
from ec_closure.report import RunOutput
from ec_verify import main
from ec_verify.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_verify.conftest import Node, Ran

pytestmark = pytest.mark.nix
SCRIPT = Path(sys.executable).with_name("ec-verify")
PATH = "/nix/store/" + "0" * 32 + "-x"
LOOKING = ("run", "scan", "source", "rebuild")
COMMON = (*LOOKING, "explain", "closure", "status", "key", "clean")
ALL = (*COMMON, "nar-hash", "self-test", "config", "demo")
NEEDED = {"explain": [PATH], "nar-hash": ["."]}


def command_line(command: str, *arguments: str) -> list[str]:
    """Return a command with what it needs."""
    return [command, *NEEDED.get(command, []), *arguments]


def assert_refused(ran: Ran, code: int = 2) -> None:
    """Check that nothing was printed but one clear line and a hint, whatever was under way."""
    *_, complaint, hint = ran.err.splitlines()
    assert (code, "", True, True) == (
        ran.exit,
        ran.out,
        complaint.startswith("ec-verify: ") and len(complaint) > len("ec-verify: "),
        hint.startswith("  hint: "),
    )
    assert "Traceback" not in ran.err
    assert ran.err.replace("\n", "").isprintable()


class TestHelp:
    """What there is."""

    def test_every_subcommand_is_tried_here(self) -> None:
        """A new one must not stay untested."""
        assert {*main._COMMANDS, "config"} == set(ALL)

    @pytest.mark.parametrize("arguments", [[], *([command] for command in ALL), ["config", "check"]])
    def test_each_command_explains_itself(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        """Usage on standard output, and success."""
        code = main.run([*arguments, "--help"])

        assert (0, True) == (code, f"Usage: ec-verify {' '.join(arguments)}".rstrip() in capsys.readouterr().out)

    def test_the_version_is_told(self, capsys: pytest.CaptureFixture[str]) -> None:
        """One line."""
        from importlib.metadata import version

        assert (0, f"{version('ec-verify')}\n") == (main.run(["--version"]), capsys.readouterr().out)

    def test_the_installed_script_runs(self) -> None:
        """And is quick to say what it can do: commands are imported when they run."""
        ran = subprocess.run([SCRIPT, "--help"], capture_output=True, text=True, check=False)

        assert (0, "", True) == (ran.returncode, ran.stderr, "self-test" in ran.stdout)


class TestUsage:
    """Command lines that make no sense."""

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["config"],
            ["bogus"],
            ["config", "bogus"],
            ["--bogus"],
            ["\x1b[31mbogus"],
            ["run", "extra"],
            ["explain"],
            ["nar-hash"],
            ["nar-hash", ""],
            ["nar-hash", "a", "b"],
            ["run", "--level"],
            ["run", "--level", "everything"],
            ["run", "--level", "BYTES"],
            ["scan", "--level", "bytes"],
            ["rebuild", "--full", "extra"],
            ["self-test", "--json"],
            ["config", "check", "a", "b"],
        ],
        ids=lambda arguments: " ".join(arguments).replace("\x1b", "ESC") or "nothing",
    )
    def test_a_command_line_that_makes_no_sense_is_refused(self, bare_node: Node, arguments: list[str]) -> None:
        """Exit 2, one line, a hint; and never 0, which means passed."""
        assert_refused(bare_node.ran(*arguments))

    @pytest.mark.parametrize("command", COMMON)
    @pytest.mark.parametrize(
        "arguments",
        [
            ["--config"],
            ["--config", "/nonexistent/verify.toml"],
            ["--config", "/"],
            ["--root", ""],
            ["--store-dir", "relative"],
            ["--store-dir", ""],
            ["--store-dir", "/"],
            ["--store-dir", "/a/../b"],
            ["--state-dir", "relative"],
            ["--state-dir", "/nix//var"],
            ["--root", "/mnt", "--store-dir", "/gnu/store"],
            ["--json=maybe"],
            ["--quiet", "--no-json"],
            ["--bogus", "1"],
        ],
        ids=" ".join,
    )
    def test_common_options_are_checked_everywhere(self, bare_node: Node, command: str, arguments: list[str]) -> None:
        """Before anything is done."""
        given = arguments if "--config" in arguments else [*arguments, "--config", str(bare_node.configure())]

        assert_refused(bare_node.ran(*command_line(command, *given)))
        assert not bare_node.state.exists()

    @pytest.mark.parametrize("command", [*LOOKING, "explain"])
    @pytest.mark.parametrize(
        "arguments",
        [
            ["--time", "yesterday"],
            ["--time", "2026-11-20"],
            ["--time", "2026-11-20T12:00:00"],
            ["--time", "1969-12-31T23:59:59Z"],
            ["--time", "0001-01-01T00:00:00+14:00"],
            ["--time", "9999-12-31T23:59:59-14:00"],
            ["--time", "\x1b[2K"],
            ["--time", ""],
            ["--manifest", "x"],
            ["--trust-root", "x"],
            ["--manifest", "/nonexistent", "--trust-root", "/nonexistent"],
            ["--manifest", "/", "--trust-root", "/"],
            ["--offline=maybe"],
        ],
        ids=lambda arguments: " ".join(arguments).replace("\x1b", "ESC"),
    )
    def test_options_of_trust_are_checked_everywhere(self, bare_node: Node, command: str, arguments: list[str]) -> None:
        """Times without a zone, before the epoch and beyond the calendar; files that are not there."""
        assert_refused(bare_node.ran(*command_line(command, "--config", str(bare_node.configure()), *arguments)))

    @pytest.mark.parametrize("command", [*COMMON, "config check"])
    @pytest.mark.parametrize("file", ["verify.toml", "policy.toml"])
    def test_a_configuration_that_makes_no_sense_ends_every_command(
        self, bare_node: Node, command: str, file: str
    ) -> None:
        """The line names the file."""
        config = bare_node.configure()
        (bare_node.directory / file).write_bytes(b"\xff\x00 nonsense \x1b[2K")
        words = command.split()
        given = [*words, str(config)] if words[0] == "config" else [*command_line(words[0]), "--config", str(config)]

        ran = bare_node.ran(*given)

        assert_refused(ran)
        assert f"ec-verify: {bare_node.directory / file}: " in ran.err


class TestRefusing:
    """Files and places that are not as they should be."""

    @pytest.mark.parametrize("command", [*LOOKING, "explain"])
    def test_a_store_that_is_not_there_is_told(self, node: Node, command: str) -> None:
        """Nothing to judge: exit 3, and where it was looked for."""
        node.tables["store"] = {"root": str(node.directory / "nowhere")}

        ran = node.ran(*command_line(command, "--config", str(node.configure()), "--time", "2026-11-20T12:00:00Z"))

        assert_refused(ran, 3) if command != "explain" else None
        assert (3, "nowhere" in ran.err) == (ran.exit, True)

    @pytest.mark.parametrize("command", ["run", "scan", "key"])
    def test_a_state_directory_that_cannot_be_used_is_told(self, node: Node, command: str) -> None:
        """A file lies in its place."""
        node.state.write_bytes(b"")

        assert_refused(node.run(command, time=command != "key"), 3)

    def test_a_second_run_is_refused(self, node: Node) -> None:
        """While the first holds the state directory."""
        from ec_verify.state import State

        with State(node.state).lock():
            ran = node.run("run")

        assert_refused(ran, 3)
        assert "another run is under way" in ran.err

    def test_a_damaged_key_is_told(self, node: Node) -> None:
        """By `key`, and by a run that shows its verdict first."""
        (node.state / "keys").mkdir(parents=True)
        (node.state / "keys" / "node.pem").write_bytes(b"garbage")
        (node.state / "keys" / "node.pem").chmod(0o600)
        assert_refused(node.run("key", time=False), 3)

        ran = node.run("run", "--json")
        assert (3, "passed", True) == (ran.exit, ran.report.verdict, "no PEM private key" in ran.err)

    @pytest.mark.parametrize(
        "content", [b"", b"garbage", b"{}", b"[" * 100_000, b'{"counts": {"\x1b": 1}}', b"\xff" * 10]
    )
    def test_a_damaged_last_run_is_told(self, node: Node, content: bytes) -> None:
        """By those who read it; the next run writes it anew."""
        node.run("run")
        (node.state / "last-run.json").write_bytes(content)

        assert_refused(node.run("status", time=False), 3)
        assert_refused(node.run("explain", node.path("tool")), 3)
        assert 0 == node.run("run").exit
        assert 0 == node.run("status", time=False).exit

    def test_a_damaged_token_of_the_dashboard_is_told(self, node: Node) -> None:
        """Before the run."""
        (node.directory / "token").write_bytes(b"two\nlines")
        node.tables["report"] = {"url": "http://127.0.0.1:9", "token_file": str(node.directory / "token")}

        ran = node.run("run")

        assert_refused(ran)
        assert str(node.directory / "token") in ran.err

    def test_a_damaged_token_of_the_release_server_is_a_finding(self, node: Node) -> None:
        """The disk is judged all the same."""
        (node.directory / "token").write_bytes(b"\xff")
        node.tables["trust"] = {"token_file": str(node.directory / "token")}

        ran = node.run("scan", "--json")

        assert (3, True) == (ran.exit, "EV105" in ran.codes)

    def test_a_manifest_that_is_none_is_a_finding(self, node: Node) -> None:
        """The bytes beside the signed ones are not what was signed."""
        node.manifest_file.write_bytes(b"garbage")

        ran = node.run("scan", "--json", "--manifest", node.manifest_file, "--trust-root", node.signed.pinned)

        assert (1, {"EV107"}) == (ran.exit, ran.codes)

    def test_an_error_without_words_still_has_a_line(self, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the system says is told with the file's name, control characters spelled out."""

        def broken(*_: Any) -> None:
            raise PermissionError(13, "Permission denied", "/x\x1b[2K")

        monkeypatch.setattr("ec_verify.commands.self_test.selftest.self_test", broken)

        ran = node.ran("self-test")

        assert (3, "ec-verify: /x\\x1b[2K: Permission denied\n") == (ran.exit, ran.err)

    def test_an_interrupt_has_a_code_of_its_own(self, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        """130, as shells say; not a verdict."""

        def interrupted(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("ec_verify.commands.self_test.selftest.self_test", interrupted)

        ran = node.ran("self-test")

        assert (130, "ec-verify: interrupted; nothing stays mounted\n") == (ran.exit, ran.err)


class TestRuns:
    """What a run prints."""

    @pytest.mark.parametrize("command", ["run", "scan"])
    def test_json_is_the_published_format(self, node: Node, command: str) -> None:
        """One object, in camelCase, with every path's verdict in words."""
        ran = node.run(command, "--json")

        raw = msgspec.json.decode(ran.out)
        assert (0, "passed", "bytes") == (ran.exit, ran.report.verdict, raw["levelReached"])
        assert {"tool": "matches", "text": "fixed", "library": "matches"} == {
            name: ran.report.paths[node.path(name)] for name in ("tool", "text", "library")
        }
        assert ran.report == msgspec.json.decode(ran.out, type=RunOutput)

    def test_people_are_told_the_verdict_first(self, node: Node) -> None:
        """Then system, release, counts and what was covered; progress goes to standard error."""
        ran = node.run("run")

        first, system, release, *_ = ran.out.splitlines()
        assert ("PASSED  level bytes reached", True, True) == (
            first,
            node.path("system") in system,
            "v1 (version 1)" in release,
        )
        assert "hashing the store" in ran.err
        assert "\x1b" not in ran.out + ran.err

    def test_quiet_says_nothing_but_the_result(self, node: Node) -> None:
        """For timers."""
        assert "" == node.run("run", "--quiet").err
        assert "" == node.run("scan", "-q").err

    def test_a_finding_is_told_with_its_hint(self, node: Node) -> None:
        """What is wrong, where, and what to do next."""
        node.physical("library").chmod(0o666)

        ran = node.run("run")

        assert (1, True) == (ran.exit, ran.out.startswith("FAILED  level bytes reached"))
        assert f"EV203 fail  {node.path('library').rpartition('/')[2]}: mode 0666" in ran.out
        assert "Nix makes files 0444 or 0555" in ran.out

    def test_a_hundred_findings_are_not_all_printed(self, node: Node) -> None:
        """The rest is counted; JSON has them."""
        for number in range(100):
            (node.root / "nix" / "store" / f"evil-{number}").write_bytes(b"")

        assert "… and 60 more findings: --json lists them" in node.run("scan").out
        assert 100 == len(node.run("scan", "--json").report.findings)

    @pytest.mark.parametrize("as_json", [True, False])
    def test_hostile_names_reach_the_terminal_as_text(self, node: Node, as_json: bool) -> None:  # noqa: FBT001 - a table
        """No escape sequence, no markup, no emoji, no line of an attacker's."""
        for name in (
            b"evil\x1b[2K\x1b[1;32mPASSED",
            b"evil\nPASSED",
            b"\xff\xfe",
            b"[bold]evil[bold]",
            b":skull:",
            b"a\\",
        ):
            (node.root / "nix" / "store" / os.fsdecode(name)).write_bytes(b"")

        ran = node.run("scan", *(["--json"] if as_json else []))

        assert (1, True) == (ran.exit, ran.out.replace("\n", "").isprintable())
        assert "PASSED" not in [line.strip() for line in ran.out.splitlines()]
        for shown in (r"evil\x1b[2K\x1b[1;32mPASSED", r"\xff\xfe", "[bold]evil[bold]", ":skull:"):
            assert (msgspec.json.encode(shown).decode()[1:-1] if as_json else shown) in ran.out

    def test_the_level_is_the_policys_unless_another_is_asked(self, node: Node) -> None:
        """And a level that was not reached is said so."""
        node.policy["level"] = "source"
        node.tables["nix"] = {"program": "/nonexistent/nix"}

        ran = node.run("run", "--json")
        assert (3, "source", "bytes", {"EV405"}) == (
            ran.exit,
            ran.report.level_asked,
            ran.report.level_reached,
            ran.codes,
        )
        assert "level bytes reached (asked: source)" in node.run("run").out
        assert (0, "bytes") == ((asked := node.run("run", "--json", "--level", "bytes")).exit, asked.report.level_asked)

    @pytest.mark.parametrize("program", ["/nonexistent/nix", "/etc/hostname", "nix-that-is-not-there"])
    def test_a_nix_that_does_not_run_costs_the_level_and_not_the_verdict(self, node: Node, program: str) -> None:
        """What the bytes showed stands."""
        node.tables["nix"] = {"program": program}
        node.physical("library").chmod(0o666)

        ran = node.run("source", "--json")

        assert (1, {"EV203", "EV405"}) == (ran.exit, ran.codes)

    def test_a_nix_that_is_no_program_costs_the_level_and_not_the_run(self, node: Node) -> None:
        """An executable file that the kernel does not take."""
        fake = node.directory / "nix"
        fake.write_bytes(b"\x7fELF is what it says")
        fake.chmod(0o755)
        shutil.copy(fake, node.directory / "nix-store")
        node.tables["nix"] = {"program": str(fake)}

        ran = node.run("source", "--json")

        assert (3, {"EV405"}) == (ran.exit, ran.codes)

    def test_another_root_is_examined_on_request(self, node: Node) -> None:
        """The option replaces the configuration's word."""
        node.tables["store"] = {"root": "/nonexistent"}

        assert 0 == node.run("scan", "--root", node.root).exit


class TestClosed:
    """Readers that leave, and terminals that lack characters."""

    def test_a_reader_that_leaves_is_no_failing_finding(self, node: Node) -> None:
        """`ec-verify status | head` must not answer 1, which means failed."""
        node.run("run")
        for number in range(2000):
            (node.root / "nix" / "store" / f"evil-{number}").write_bytes(b"")
        config = node.configure()
        for arguments in (["status"], ["closure", "--json"], ["scan", "--json", "--time", "2026-11-20T12:00:00Z"]):
            reader, writer = os.pipe()
            os.close(reader)
            ran = subprocess.run(
                [SCRIPT, *arguments, "--config", config], stdout=writer, stderr=subprocess.PIPE, check=False
            )
            os.close(writer)
            assert (3, False) == (ran.returncode, b"Traceback" in ran.stderr)

    def test_a_terminal_of_another_character_set_gets_escapes(self, node: Node) -> None:
        """What cannot be shown does not end a run."""
        for number in range(100):
            (node.root / "nix" / "store" / f"evil-{number}").write_bytes(b"")

        ran = subprocess.run(
            [SCRIPT, "scan", "--config", node.configure(), "--time", "2026-11-20T12:00:00Z"],
            env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            check=False,
        )

        assert (1, True, False) == (ran.returncode, b"and 60 more" in ran.stdout, b"Traceback" in ran.stderr)

    def test_a_terminal_gets_colours_and_bars(self, node: Node) -> None:
        """And the same words."""
        controller, terminal = pty.openpty()
        ran = subprocess.run(
            [SCRIPT, "scan", "--config", node.configure(), "--time", "2026-11-20T12:00:00Z"],
            env={"PATH": os.environ["PATH"], "TERM": "xterm-256color"},
            stdout=terminal,
            stderr=terminal,
            check=False,
        )
        os.close(terminal)
        shown = os.read(controller, 1 << 16)
        os.close(controller)

        assert (0, True, True) == (ran.returncode, b"PASSED" in shown, b"\x1b[1;32m" in shown)


class TestStatus:
    """What the last run said."""

    def test_before_any_run_there_is_nothing_to_say(self, node: Node) -> None:
        """Exit 3: nothing is proven."""
        assert_refused(node.run("status", time=False), 3)
        assert_refused(node.run("status", "--json", time=False), 3)

    @pytest.mark.parametrize("tampered", [True, False])
    def test_it_answers_as_the_last_run_did(self, node: Node, tampered: bool) -> None:  # noqa: FBT001 - a table
        """The same words, the same code, and how long ago."""
        if tampered:
            node.physical("library").chmod(0o666)
        last = node.run("run", "--json")

        ran = node.run("status", time=False)

        assert (last.exit, True) == (ran.exit, ran.out.startswith("FAILED" if tampered else "PASSED"))
        assert "seconds ago; 0 reports wait to be sent" in ran.out
        assert last.report == node.run("status", "--json", time=False).report

    def test_an_undecided_run_stays_undecided(self, node: Node) -> None:
        """Exit 3, as that run."""
        node.tables["trust"] = {"root": ""}
        node.run("run")

        assert (3, True) == ((ran := node.run("status", time=False)).exit, ran.out.startswith("UNDECIDED  no level"))
        assert "release  none: no trusted manifest" in ran.out

    def test_it_counts_what_waits_to_be_sent(self, node: Node) -> None:
        """Reports that no dashboard took."""
        import stamina

        node.tables["report"] = {"url": "http://127.0.0.1:9"}
        with stamina.set_testing(True, attempts=1):
            node.run("run")

        assert "1 reports wait to be sent" in node.run("status", time=False).out

    def test_a_word_that_is_not_known_is_printed_all_the_same(self, node: Node) -> None:
        """A newer version may have written the file."""
        node.run("run")
        file = node.state / "last-run.json"
        file.write_bytes(file.read_bytes().replace(b'"counts":{', b'"counts":{"shiny\\u001b":1,'))

        ran = node.run("status", time=False)

        assert (0, True) == (ran.exit, r"shiny\x1b" in ran.out)


class TestExplain:
    """Everything known of one path."""

    def test_it_tells_what_was_signed_registered_seen_and_said(self, node: Node) -> None:
        """Four sources, side by side."""
        node.run("run")
        node.physical("tool").chmod(0o755)

        ran = node.run("explain", node.path("tool"), "--json")

        found = msgspec.json.decode(ran.out)
        assert (0, node.path("tool")) == (ran.exit, found["path"])
        assert found["signed"]["narHash"] == found["registered"]["narHash"] == found["onDisk"]["narHash"]
        assert ("v1", "built", [node.path("library")]) == (
            found["signed"]["release"],
            found["signed"]["origin"],
            found["signed"]["references"],
        )
        assert ([".: mode 0755"], "matches") == (found["onDisk"]["metadata"], found["lastRun"]["verdict"])

    def test_it_says_why_nothing_is_signed(self, node: Node) -> None:
        """Before the node was ever online, and without a root."""
        found = msgspec.json.decode(node.run("explain", node.path("tool"), "--json").out)
        assert ({"EV104"}, False) == (set(found["trust"]), "signed" in found)

        node.tables["trust"] = {"root": ""}
        assert "EV113" in node.run("explain", node.path("tool")).out

    def test_the_signed_references_name_a_text(self, node: Node) -> None:
        """A row that is gone does not make a path undeserved."""
        node.run("run")
        node.sql("delete from Refs")
        node.sql("delete from ValidPaths where path = ?", node.path("text"))

        found = msgspec.json.decode(node.run("explain", node.path("text"), "--json").out)

        assert (node.path("text"), False) == (found["onDisk"]["deservedPath"], "registered" in found)

    def test_without_a_manifest_the_rows_references_name_a_text(self, node: Node) -> None:
        """A text's name follows from what it refers to; where nobody signed that, the row says it."""
        body, library = b"a text that refers\n", node.path("library")
        address = ContentAddress("text", Hash.of("sha256", body))
        path = store_path_of(address, "referring", [library])
        (node.root / path.lstrip("/")).write_bytes(body)
        node.sql(
            "insert into ValidPaths (path, hash, registrationTime, narSize, ca) values (?, ?, 1, 136, ?)",
            path,
            f"sha256:{'0' * 64}",
            address.render(),
        )
        node.sql(
            "insert into Refs select a.id, b.id from ValidPaths a, ValidPaths b where a.path = ? and b.path = ?",
            path,
            library,
        )

        found = msgspec.json.decode(node.run("explain", path, "--json").out)

        assert (path, [library]) == (found["onDisk"]["deservedPath"], found["registered"]["references"])

    def test_people_see_lists_as_lines(self, node: Node) -> None:
        """One entry a line, a word where there is none."""
        node.run("run")

        lines = node.run("explain", node.path("system")).out.splitlines()

        expected = sorted(node.path(name) for name in ("tool", "text", "flake", "dependency"))
        first = lines.index(f"  references:      {expected[0]}")
        assert [" " * 19 + path for path in expected[1:]] == lines[first + 1 : first + 4]
        assert "  metadata:        none" in lines
        assert "  problem:         -" in lines

    def test_a_path_that_nobody_knows_is_described_by_what_lies_there(self, node: Node) -> None:
        """An intruder is explained, too."""
        node.run("run")
        shutil.copy(node.physical("library"), node.root / PATH.lstrip("/"))

        found = msgspec.json.decode(node.run("explain", PATH, "--json").out)

        assert {"path", "onDisk", "lastRun"} == found.keys()
        assert (hash_path(node.physical("library")).hash.sri, "not in the manifest") == (
            found["onDisk"]["narHash"],
            found["lastRun"]["verdict"],
        )

    def test_a_path_that_is_missing_is_told(self, node: Node) -> None:
        """Known to database and manifest, not to the disk."""
        node.physical("library").unlink()

        found = msgspec.json.decode(node.run("explain", node.path("library"), "--json").out)

        assert (None, "not in the store directory") == (found["onDisk"]["narHash"], found["onDisk"]["problem"])

    @pytest.mark.parametrize(
        "path", ["/run/current-system", "/nix/var/nix/profiles/system", "/run/current-system/init"]
    )
    def test_a_link_is_followed_to_its_path(self, node: Node, path: str) -> None:
        """Inside the root."""
        assert f"path: {node.path('system')}\n" in node.run("explain", path).out

    @pytest.mark.parametrize("path", ["/etc/passwd", "/", "/nix/store", "/nowhere", "/nix/store/evil", "relative", ""])
    def test_what_leads_to_no_store_path_is_refused(self, node: Node, path: str) -> None:
        """With what was given, and a hint."""
        assert_refused(node.run("explain", path))

    def test_what_the_database_says_reaches_the_terminal_as_text(self, node: Node) -> None:
        """Deriver, signatures and address are text of whoever wrote them."""
        node.sql("update ValidPaths set deriver = ?, sigs = ?, ca = ?", *["\x1b[2K\nregistered:\n"] * 3)

        ran = node.run("explain", node.path("tool"))

        assert (0, True) == (ran.exit, ran.out.replace("\n", "").isprintable())
        assert 1 == ran.out.splitlines().count("registered:")

    def test_a_database_that_cannot_be_read_is_told(self, node: Node) -> None:
        """Exit 3: this machine's fault."""
        (node.root / "nix/var/nix/db/db.sqlite").write_bytes(b"garbage" * 1000)

        ran = node.run("explain", node.path("tool"))

        assert (3, "", True) == (ran.exit, ran.out, "db.sqlite" in ran.err)


class TestClosure:
    """What the database says is in a closure."""

    def test_the_running_system_is_the_default(self, node: Node) -> None:
        """As `nix-store --query --requisites`, sorted."""
        ran = node.run("closure", time=False)

        assert (0, sorted(node.signed.paths.values())) == (ran.exit, ran.out.split())

    def test_json_tells_hashes_sizes_and_references(self, node: Node) -> None:
        """Of the rows."""
        found = msgspec.json.decode(node.run("closure", node.path("tool"), "--json", time=False).out)

        assert {node.path("tool"), node.path("library")} == {row["path"] for row in found}
        (tool,) = (row for row in found if row["path"] == node.path("tool"))
        assert (hash_path(node.physical("tool")).hash.sri, [node.path("library")]) == (
            tool["narHash"],
            tool["references"],
        )

    @pytest.mark.parametrize(("path", "code"), [("/etc/passwd", 2), ("", 2), ("relative", 2), (PATH, 3)])
    def test_what_is_in_no_database_is_refused(self, node: Node, path: str, code: int) -> None:
        """A path that is none, and one that nobody registered."""
        assert_refused(node.run("closure", path, time=False), code)

    def test_a_relative_path_is_of_this_directory(
        self, signed: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where no other root is examined, links are named as in any command."""
        store = tmp_path / "store"
        (store / f"{'0' * 32}-x").mkdir(parents=True)
        (tmp_path / "result").symlink_to(store / f"{'0' * 32}-x")
        monkeypatch.chdir(tmp_path)
        (tmp_path / "verify.toml").write_text("")

        code = main.run(
            [
                "closure",
                "result",
                *(
                    "--config",
                    "verify.toml",
                    "--store-dir",
                    str(store),
                    "--state-dir",
                    str(signed.root / "nix/var/nix"),
                ),
            ]
        )

        # That database is of another store: the link was followed, and the answer is the database's.
        assert (3, False) == (code, "leads to no store path" in capsys.readouterr().err)


class TestNarHash:
    """The hash of any tree."""

    @pytest.mark.parametrize("name", ["tool", "library", "flake"])
    def test_it_is_what_nix_says(self, node: Node, name: str) -> None:
        """The same text as `nix hash path`."""
        said = subprocess.run(
            ["nix", "--extra-experimental-features", "nix-command", "hash", "path", node.physical(name)],
            env={"PATH": os.environ["PATH"], "HOME": str(node.directory)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

        ran = node.ran("nar-hash", str(node.physical(name)))

        assert (0, said) == (ran.exit, ran.out)

    def test_json_has_every_spelling(self, node: Node) -> None:
        """And the size of the archive."""
        found = msgspec.json.decode(node.ran("nar-hash", str(node.physical("tool")), "--json").out)

        same = {Hash.parse(found["sri"]), Hash.parse(found["nix32"]), Hash.parse_digest("sha256", found["base16"])}
        assert (1, hash_path(node.physical("tool")).size) == (len(same), found["narSize"])

    @pytest.mark.parametrize("path", [".", "..", "../tree/.", "./"])
    def test_a_relative_path_is_of_this_directory(self, node: Node, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
        """Also this directory itself."""
        (node.directory / "tree").mkdir()
        monkeypatch.chdir(node.directory / "tree")

        assert f"{hash_path((node.directory / 'tree' / path).resolve()).hash.sri}\n" == node.ran("nar-hash", path).out

    def test_what_cannot_be_hashed_is_refused(self, node: Node) -> None:
        """Nothing there, or nothing that an archive holds."""
        os.mkfifo(node.directory / "fifo\x1b")
        for path in (node.directory / "none", node.directory / "fifo\x1b"):
            ran = node.ran("nar-hash", str(path))
            assert (3, "", True) == (ran.exit, ran.out, ran.err.replace("\n", "").isprintable())

    def test_a_name_that_is_no_utf_8_is_spelled_out(self, node: Node) -> None:
        """In JSON as anywhere."""
        file = os.fsdecode(os.fsencode(node.directory) + b"/\xff")
        Path(file).write_bytes(b"")

        assert "\\xff" == msgspec.json.decode(node.ran("nar-hash", file, "--json").out)["path"][-4:]


class TestRest:
    """`clean`, `config check`, `key`."""

    def test_there_is_nothing_to_clean(self, node: Node) -> None:
        """And the state directory is not made for that."""
        assert (0, "nothing to remove\n") == ((ran := node.run("clean", time=False)).exit, ran.out)
        assert "[]\n" == node.run("clean", "--json", time=False).out
        assert not node.state.exists()

    def test_what_a_killed_run_left_is_removed(self, node: Node) -> None:
        """Scratch whose lock nobody holds; what looks otherwise stays."""
        scratch = node.state / "scratch"
        (scratch / "ghost-1-abc" / "upper" / "x").mkdir(parents=True)
        (scratch / "ghost-1-abc" / "upper").chmod(0o555)
        (scratch / "ghost-1-abc.lock").write_bytes(b"")
        (scratch / "precious").mkdir()

        ran = node.run("clean", time=False)

        assert (0, f"removed {scratch / 'ghost-1-abc'}\n") == (ran.exit, ran.out)
        assert ["precious"] == [path.name for path in scratch.iterdir()]

    def test_a_valid_configuration_is_said_to_be(self, node: Node) -> None:
        """With the level that the policy asks for."""
        config = node.configure()

        ran = node.ran("config", "check", str(config))

        assert (0, f"{config} is valid; policy level bytes\n") == (ran.exit, ran.out)
        assert not node.state.exists()

    def test_the_default_configuration_is_checked_by_default(self, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        """At its usual place."""
        monkeypatch.setattr("ec_verify.config.DEFAULT_PATH", node.configure())
        assert 0 == node.ran("config", "check").exit

        (node.directory / "verify.toml").write_text("nonsense")
        assert_refused(node.ran("config", "check"))

    def test_a_key_is_printed_and_stays(self, node: Node) -> None:
        """PEM, and the same every time."""
        first = node.run("key", time=False)

        assert (0, True) == (first.exit, first.out.startswith("-----BEGIN PUBLIC KEY-----\n"))
        assert first.out == node.run("key", time=False).out

    def test_verbose_says_more(self, node: Node) -> None:
        """At least as much."""
        ran = node.run("scan", "--verbose", "--json")

        assert (0, "passed") == (ran.exit, ran.report.verdict)


def test_every_hint_of_ours_ends_up_below_its_line(
    node: Node, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Message, place and hint of any error, made printable."""

    def broken(*_: Any) -> None:
        raise StateError("went\nwrong\x07", place="/a\x1bb", hint="do\nthat\x07")

    monkeypatch.setattr("ec_verify.commands.self_test.selftest.self_test", broken)

    assert 3 == main.run(["self-test"])
    assert "ec-verify: /a\\x1bb: went wrong\\x07\n  hint: do that\\x07\n" == capsys.readouterr().err
    assert not node.state.exists()


def test_main_exits_with_the_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The script's entry point."""
    answers: list[Callable[[], str | None]] = [lambda: None, lambda: "blind"]
    for answer, code in zip(answers, (0, 3), strict=True):
        monkeypatch.setattr("ec_verify.commands.self_test.selftest.self_test", answer)
        with pytest.raises(SystemExit) as caught:
            main.main(["self-test"])
        assert code == caught.value.code
    assert capsys.readouterr().out
