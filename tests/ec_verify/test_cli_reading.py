"""The command line: the commands that only read, and the door to all of them."""

from __future__ import annotations

import os
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
from ec_verify import main
from ec_verify.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_verify.conftest import Node

pytestmark = pytest.mark.nix
SCRIPT = Path(sys.executable).with_name("ec-verify")
PATH = "/nix/store/" + "0" * 32 + "-x"
LOOKING = ("run", "scan", "source", "rebuild")
COMMON = (*LOOKING, "explain", "evidence", "closure", "status", "key", "clean")
ALL = (*COMMON, "check-evidence", "nar-hash", "self-test", "config", "policy", "demo")
NEEDED = {"explain": [PATH], "nar-hash": ["."], "evidence": ["file"]}


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

        assert {"schema", "path", "words", "next", "onDisk", "lastRun"} == found.keys()
        assert found["words"].startswith("extra: ")
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
        node.run("explain", path).assert_refused()

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
        node.run("closure", path, time=False).assert_refused(code)

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
        node.ran("config", "check").assert_refused()

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
