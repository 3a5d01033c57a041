"""The command line: what it answers, and how it refuses."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from ec_closure.report import RunOutput
from ec_verify import main

if TYPE_CHECKING:
    from tests.ec_verify.conftest import Node

pytestmark = pytest.mark.nix
SCRIPT = Path(sys.executable).with_name("ec-verify")
PATH = "/nix/store/" + "0" * 32 + "-x"
LOOKING = ("run", "scan", "source", "rebuild")
COMMON = (*LOOKING, "fetch", "submit", "explain", "evidence", "closure", "status", "key", "clean")
ALL = (*COMMON, "check-evidence", "nar-hash", "self-test", "config", "policy", "demo")
NEEDED = {"explain": [PATH], "nar-hash": ["."], "evidence": ["file"]}


def command_line(command: str, *arguments: str) -> list[str]:
    """Return a command with what it needs."""
    return [command, *NEEDED.get(command, []), *arguments]


class TestHelp:
    """What there is."""

    def test_every_subcommand_is_tried_here(self) -> None:
        """A new one must not stay untested."""
        assert {*main._COMMANDS, *main._GROUPS} == set(ALL)

    @pytest.mark.parametrize(
        "arguments",
        [[], *([command] for command in ALL), ["config", "check"], ["policy", "check"], ["policy", "explain"]],
    )
    def test_each_command_explains_itself(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        """Usage on standard output, and success."""
        code = main.run([*arguments, "--help"])

        assert (0, True) == (code, f"Usage: ec-verify {' '.join(arguments)}".rstrip() in capsys.readouterr().out)

    @pytest.mark.parametrize(
        ("arguments", "taught"),
        [
            (["run"], "those that `ec-verify fetch` left"),
            (["submit"], "Exits with 0 when nothing waits any more"),
            (["policy", "explain"], "EV205"),
        ],
    )
    def test_help_teaches(self, arguments: list[str], taught: str, capsys: pytest.CaptureFixture[str]) -> None:
        """All that a command says of itself, and not the line of the overview alone."""
        main.run([*arguments, "--help"])

        assert taught in " ".join(capsys.readouterr().out.split())

    def test_the_overview_says_what_the_commands_say_of_themselves(self, capsys: pytest.CaptureFixture[str]) -> None:
        """It is written without the library that reads command lines, which takes long to load."""
        main.make_app().help_print([])

        theirs = re.sub(r"[─│╭╮╰╯]", " ", capsys.readouterr().out).split()
        assert theirs == main.overview().replace("Commands:", "Commands").replace("Options:\n", "").split()

    def test_the_overview_is_told_without_loading_what_it_does_not_need(self) -> None:
        """A person who asks what there is should not wait."""
        asked = "import sys; from ec_verify import main; main.run(['--help']); print('cyclopts' in sys.modules)"
        ran = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

        assert "False" == ran.stdout.split()[-1]

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
        bare_node.ran(*arguments).assert_refused()

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

        bare_node.ran(*command_line(command, *given)).assert_refused()
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
        bare_node.ran(*command_line(command, "--config", str(bare_node.configure()), *arguments)).assert_refused()

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

        ran.assert_refused()
        assert f"ec-verify: {bare_node.directory / file}: " in ran.err


class TestRefusing:
    """Files and places that are not as they should be."""

    @pytest.mark.parametrize("command", [*LOOKING, "explain"])
    def test_a_store_that_is_not_there_is_told(self, node: Node, command: str) -> None:
        """Nothing to judge: exit 3, and where it was looked for."""
        node.tables["store"] = {"root": str(node.directory / "nowhere")}

        ran = node.ran(*command_line(command, "--config", str(node.configure()), "--time", "2026-11-20T12:00:00Z"))

        ran.assert_refused(3) if command != "explain" else None
        assert (3, "nowhere" in ran.err) == (ran.exit, True)

    @pytest.mark.parametrize("command", ["run", "scan", "key"])
    def test_a_state_directory_that_cannot_be_used_is_told(self, node: Node, command: str) -> None:
        """A file lies in its place."""
        node.state.write_bytes(b"")

        node.run(command, time=command != "key").assert_refused(3)

    def test_a_second_run_is_refused(self, node: Node) -> None:
        """While the first holds the state directory."""
        from ec_verify.state import State

        with State(node.state).lock():
            ran = node.run("run")

        ran.assert_refused(3)
        assert "another run is under way" in ran.err

    def test_a_damaged_key_is_told(self, node: Node) -> None:
        """By `key`, and by a run that shows its verdict first."""
        (node.state / "keys").mkdir(parents=True)
        (node.state / "keys" / "node.pem").write_bytes(b"garbage")
        (node.state / "keys" / "node.pem").chmod(0o600)
        node.run("key", time=False).assert_refused(3)

        ran = node.run("run", "--json")
        assert (3, "passed", True) == (ran.exit, ran.report.verdict, "no PEM private key" in ran.err)

    @pytest.mark.parametrize(
        "content", [b"", b"garbage", b"{}", b"[" * 100_000, b'{"counts": {"\x1b": 1}}', b"\xff" * 10]
    )
    def test_a_damaged_last_run_is_told(self, node: Node, content: bytes) -> None:
        """By those who read it; the next run writes it anew."""
        node.run("run")
        (node.state / "last-run.json").write_bytes(content)

        node.run("status", time=False).assert_refused(3)
        node.run("explain", node.path("tool")).assert_refused(3)
        assert 0 == node.run("run").exit
        assert 0 == node.run("status", time=False).exit

    def test_a_damaged_token_of_the_dashboard_is_told(self, node: Node) -> None:
        """Before the run."""
        (node.directory / "token").write_bytes(b"two\nlines")
        node.tables["report"] = {"url": "http://127.0.0.1:9", "token_file": str(node.directory / "token")}

        ran = node.run("run")

        ran.assert_refused()
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

    def test_a_hundred_findings_of_one_cause_are_told_as_one(self, node: Node) -> None:
        """What is wrong, how often, and the first; `--all` and JSON have them all."""
        for number in range(100):
            (node.root / "nix" / "store" / f"evil-{number}").write_bytes(b"")

        told = node.run("scan").out
        assert "EV209 fail  100 x in the store directory, but unknown to the database" in told
        assert "evil-0 lies in the store directory, but nobody registered it, and 99 more" in told
        assert "findings: --all lists them" in told
        assert "evil-57" not in told
        assert "evil-57 lies" in node.run("scan", "--all").out
        report = node.run("scan", "--json").report
        assert [100] == [one.count for one in report.causes if one.code == "EV209"]
        assert 100 == sum(one.code == "EV209" for one in report.findings)

    def test_what_a_report_leaves_out_is_said(self, node: Node) -> None:
        """Nothing is cut without a word."""
        for number in range(1003):
            (node.root / "nix" / "store" / f"evil-{number}").write_bytes(b"")
        node.physical("library").chmod(0o666)

        assert "… and 4 more EV209 fail: more than a report lists" in node.run("scan", "--all").out
        assert "EV209 fail  1003 x " in node.run("scan").out
        assert {"EV203", "EV209"} <= node.run("scan", "--json").codes

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

        ran = node.run("scan", "--json" if as_json else "--all")

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
        (node.root / "nix" / "store" / "évil").write_bytes(b"")

        ran = subprocess.run(
            [SCRIPT, "scan", "--config", node.configure(), "--time", "2026-11-20T12:00:00Z"],
            env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            check=False,
        )

        assert (1, True, False) == (ran.returncode, rb"\xe9vil lies in" in ran.stdout, b"Traceback" in ran.stderr)

    def test_a_terminal_gets_colours_and_bars(self, node: Node) -> None:
        """And the same words."""
        controller, terminal = pty.openpty()
        with subprocess.Popen(
            [SCRIPT, "scan", "--config", node.configure(), "--time", "2026-11-20T12:00:00Z"],
            env={"PATH": os.environ["PATH"], "TERM": "xterm-256color"},
            stdout=terminal,
            stderr=terminal,
        ) as ran:
            os.close(terminal)
            shown = b""
            # A terminal that nobody holds any more answers with an error, where a pipe would just end.
            with contextlib.suppress(OSError):
                while chunk := os.read(controller, 1 << 16):
                    shown += chunk
        os.close(controller)

        assert (0, True, True) == (ran.returncode, b"PASSED" in shown, b"\x1b[1;32m" in shown)


class TestStatus:
    """What the last run said."""

    def test_before_any_run_there_is_nothing_to_say(self, node: Node) -> None:
        """Exit 3: nothing is proven."""
        node.run("status", time=False).assert_refused(3)
        node.run("status", "--json", time=False).assert_refused(3)

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
