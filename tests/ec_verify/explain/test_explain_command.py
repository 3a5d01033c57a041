"""`ec-verify explain`: the verdict first, then what agrees and what does not, then what to do."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from ec_closure.explanation import Explanation
from ec_closure.nar.tree import File, write_tree
from ec_verify.explain.diffoscope import DiffoscopeError, report

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import NixStore
    from tests.ec_verify.conftest import Node

pytestmark = pytest.mark.nix


def change(path: Path, data: bytes) -> None:
    """Alter a file of the store without a trace in its metadata."""
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)
    os.utime(path, (1, 1))


def explained(node: Node, name: str, *arguments: str) -> Explanation:
    """Return what `--json` says of a path."""
    return msgspec.json.decode(
        node.run("explain", node.path(name), "--json", *arguments).out.encode(), type=Explanation
    )


@pytest.fixture
def cached(node: Node) -> Node:
    """Give a node that knows a cache with the signed bytes, in the form that Nix writes."""
    cache = node.directory / "cache"
    subprocess.run(
        [
            *("nix", "--extra-experimental-features", "nix-command", "copy", "--no-check-sigs"),
            *("--from", str(node.root), "--to", f"file://{cache}?compression=xz", node.path("tool")),
        ],
        env={"PATH": os.environ["PATH"], "HOME": str(node.directory), "NIX_CONF_DIR": str(node.directory)},
        check=True,
    )
    node.tables["nix"] = {"substituters": [f"file://{cache}"]}
    node.run("run")
    return node


class TestVerdict:
    """The first line."""

    def test_an_untouched_path_matches_and_nothing_is_to_be_done(self, node: Node) -> None:
        """The last line says so."""
        node.run("run")

        lines = node.run("explain", node.path("tool")).out.splitlines()

        assert f"path: {node.path('tool')}" == lines[0]
        assert lines[1].startswith("Matches: the bytes on the disk are those that CI signed")
        assert "next: Nothing: it is as it should be." == lines[-1]
        assert 3 == sum(" = sha256-" in line for line in lines)

    def test_a_corrupt_path_is_said_to_be_now_whatever_the_last_run_said(self, node: Node) -> None:
        """The hashes stand below one another, with what differs marked."""
        node.run("run")
        change(node.physical("library"), b"a back door\n")

        out = node.run("explain", node.path("library")).out

        assert "\nCorrupt: the bytes on the disk are not those that CI signed\n" in out
        assert ("  signed:      = sha256-" in out, "  on disk:     ≠ sha256-" in out) == (True, True)
        assert out.splitlines()[-1].startswith("next: Take the node out of service")

    @pytest.mark.parametrize(("name", "words"), [("library", "missing: "), ("text", "missing: ")])
    def test_a_missing_path_is_told(self, node: Node, name: str, words: str) -> None:
        """It was signed."""
        node.run("run")
        node.physical(name).unlink()

        assert explained(node, name).words.startswith(words)

    def test_metadata_are_told_with_the_verdict(self, node: Node) -> None:
        """The bytes are right, and somebody was there all the same."""
        node.run("run")
        node.physical("tool").chmod(0o755)

        found = explained(node, "tool")

        assert ("but 1 entries have strange metadata" in found.words, (".: mode 0755",)) == (
            True,
            found.on_disk.metadata,
        )

    def test_dependents_are_counted(self, node: Node) -> None:
        """Tool refers to library, system to tool."""
        node.run("run")

        found = explained(node, "library").dependents

        assert found is not None
        assert (1, 2, ()) == (found.direct, found.transitive, found.affected)

    def test_damaged_evidence_of_the_last_run_is_done_without(self, node: Node) -> None:
        """What was rebuilt is then unknown."""
        node.run("run")
        (node.state / "last-evidence.tar").write_bytes(b"garbage")

        assert explained(node, "tool").words.startswith("matches")


class TestDifference:
    """File by file."""

    def test_what_differs_is_told_entry_by_entry(self, cached: Node) -> None:
        """Against the bytes that CI signed, which a cache has."""
        tool = cached.physical("tool")
        for directory in (tool, tool / "share"):
            directory.chmod(0o755)
        change(tool / "share" / "doc", b"other words\n")
        (tool / "share" / "new").write_bytes(b"module")
        for directory in (tool / "share", tool):
            directory.chmod(0o555)

        found = explained(cached, "tool").difference

        assert found is not None
        assert (2, True, None) == (found.count, found.complete, found.unavailable)
        assert [("share/doc", "contents", 0), ("share/new", "only disk", None)] == [
            (one.path, one.kind, one.offset) for one in found.entries
        ]
        assert ("@@ -1,2 +1,2 @@", "-words", "+other words", " ") == found.entries[0].lines

        out = cached.run("explain", cached.path("tool")).out
        assert "difference, signed to disk: 2 entries (file://" in out
        assert "  share/doc: contents from byte 0\n" in out

    def test_a_path_that_does_not_differ_is_not_fetched(self, cached: Node) -> None:
        """Nothing to compare."""
        shutil.rmtree(cached.directory / "cache")

        assert explained(cached, "tool").difference is None

    def test_a_cache_that_lies_delivers_nothing(self, cached: Node) -> None:
        """Only bytes with the signed hash are compared with."""
        change(cached.physical("library"), b"a back door\n")
        (info,) = (
            file
            for file in (cached.directory / "cache").glob("*.narinfo")
            if f"StorePath: {cached.path('library')}\n" in file.read_text()
        )
        text = info.read_text()
        where = cached.directory / "cache" / text.partition("URL: ")[2].partition("\n")[0]
        where.write_bytes(where.read_bytes()[:-1] + b"x")

        found = explained(cached, "library").difference
        assert found is not None
        assert "no cache has the signed bytes" in (found.unavailable or "")

        info.write_text(text.replace("URL: nar/", "URL: ../nar/"))
        found = explained(cached, "library").difference
        assert "outside the cache" in ((found.unavailable if found else None) or "")

    def test_without_a_cache_the_difference_is_not_known(self, node: Node) -> None:
        """And says why; offline, nobody is asked."""
        node.run("run")
        change(node.physical("library"), b"a back door\n")

        found = explained(node, "library").difference

        assert "no cache to get the signed bytes from" in ((found.unavailable if found else None) or "")
        assert explained(node, "library", "--offline").difference is None


class TestDiffoscope:
    """A program of others, kept at arm's length."""

    SCRIPT = """#!/bin/sh
    [ "$1 $3 $5 $6" = "--text --max-report-size signed disk" ] || exit 3
    {{ env; cat signed disk; }} > "$2"
    {then}
    """

    def explain(self, node: Node, monkeypatch: pytest.MonkeyPatch, then: str) -> str:
        """Explain an altered path with a diffoscope of ours on the PATH."""
        programs = node.directory / "programs"
        programs.mkdir()
        (programs / "diffoscope").write_text(self.SCRIPT.format(then=then))
        (programs / "diffoscope").chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        monkeypatch.setenv("SECRET", "token")
        change(node.physical("library"), b"a back door\n")
        found = explained(node, "library", "--diffoscope").difference
        assert found is not None
        return found.diffoscope or ""

    def test_its_report_is_kept_and_nothing_else(self, cached: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both trees were there, the environment was not."""
        file = self.explain(cached, monkeypatch, "exit 1")

        (kept,) = (cached.state / "explain").iterdir()
        assert str(kept) == file
        assert ("a library\na back door\n" in kept.read_text(), "token" in kept.read_text()) == (True, False)

    def test_its_failure_is_told_and_costs_nothing(self, cached: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        """The comparison of our own stands."""
        said = self.explain(cached, monkeypatch, "echo broken >&2; exit 2")

        assert "none: diffoscope ended with exit code 2: broken" == said
        assert [] == list((cached.state / "explain").iterdir())

    def test_its_absence_is_told(self, cached: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is a large thing to install."""
        change(cached.physical("library"), b"a back door\n")
        monkeypatch.setattr("ec_verify.explain.diffoscope.shutil.which", lambda _name: None)

        found = explained(cached, "library", "--diffoscope").difference

        assert found is not None
        assert "none: diffoscope is not installed" == found.diffoscope

    def test_one_that_does_not_end_is_ended(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """With all that it started."""
        (tmp_path / "diffoscope").write_text("#!/bin/sh\nsleep 1000 &\nsleep 1000\n")
        (tmp_path / "diffoscope").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        archives = [io.BytesIO(write_tree(File(data))) for data in (b"a", b"b")]

        with pytest.raises(DiffoscopeError, match="did not end"):
            report(archives[0], archives[1], ("signed", "disk"), tmp_path / "explain" / "x.txt", seconds=0.2)
        assert [] == list((tmp_path / "explain").iterdir())


class TestCodes:
    """`ec-verify explain EV201`."""

    def test_a_code_is_looked_up(self, bare_node: Node) -> None:
        """Title, severity, hint."""
        ran = bare_node.run("explain", "EV201")

        assert (0, "EV201: bytes differ from what CI signed") == (ran.exit, ran.out.splitlines()[0])
        assert "fail" == msgspec.json.decode(bare_node.run("explain", "EV201", "--json").out)["severity"]

    def test_a_code_that_nobody_has_is_refused(self, bare_node: Node) -> None:
        """Not taken for a file."""
        bare_node.run("explain", "EV000").assert_refused()


class TestDerivations:
    """`ec-verify explain --drv A B`."""

    EXPRESSION = """
      let make = name: deps: extra: derivation ({{
        inherit name deps; system = "x86_64-linux"; builder = "/bin/sh"; }} // extra);
      in make "top" [ (make "middle" [ (make "bottom" [ ] {{ FLAGS = "{flags}"; }}) ] {{ }}) ] {{ }}
    """

    def compare(self, node: Node, store: NixStore, *flags: str) -> Any:
        """Instantiate two graphs and compare them."""
        paths = [store.instantiate(self.EXPRESSION.format(flags=one))[0] for one in flags]
        ran = node.ran("explain", "--json", "--config", str(node.configure()), "--drv", *paths)
        assert 0 == ran.exit, ran
        return msgspec.json.decode(ran.out)

    def test_the_root_cause_is_found_below_what_only_inherits(self, bare_node: Node, nix_store: NixStore) -> None:
        """Real derivations, made by a real Nix."""
        found = self.compare(bare_node, nix_store, "-O2", "-O3")

        (cause,) = found["causes"]
        assert ([{"where": "env.FLAGS", "left": "-O2", "right": "-O3"}], ["top.drv", "middle.drv"]) == (
            cause["changes"],
            cause["chain"],
        )

    def test_one_derivation_is_the_same(self, bare_node: Node, nix_store: NixStore) -> None:
        """No causes."""
        assert [] == self.compare(bare_node, nix_store, "-O2", "-O2")["causes"]

    def test_people_see_both_values(self, bare_node: Node, nix_store: NixStore) -> None:
        """With what needs the derivation that differs."""
        paths = [nix_store.instantiate(self.EXPRESSION.format(flags=one))[0] for one in ("a", "b")]
        out = bare_node.ran("explain", "--config", str(bare_node.configure()), "--drv", *paths).out

        assert "1 root causes, in 3 pairs of derivations\n" in out
        assert "  needed by: middle.drv <- top.drv\n  env.FLAGS\n    - a\n    + b\n" in out

    @pytest.mark.parametrize("arguments", [["--drv", "/nowhere/a.drv", "/nowhere/b.drv"], ["--drv", "/nowhere/a.drv"]])
    def test_what_is_no_derivation_is_refused(self, bare_node: Node, arguments: list[str]) -> None:
        """Files that are not there, or one too few."""
        bare_node.ran("explain", "--config", str(bare_node.configure()), *arguments).assert_refused()
