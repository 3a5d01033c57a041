"""What an auditor finds in a release that holds, and what cannot be looked at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root

from ec_release.audit.audit import NAMES

from .conftest import served

if TYPE_CHECKING:
    from pathlib import Path


def results(result: dict[str, Any]) -> dict[str, str]:
    """Return the result of each check."""
    return {one["name"]: one["result"] for one in result["checks"]}


def test_a_release_that_holds_passes(audited: Any) -> None:
    """Every check that was asked for is a pass."""
    code, result = audited.audit()

    assert results(result) == dict.fromkeys(NAMES, "pass") | {"tag-signature": "skipped"}
    assert (code, result["verdict"], result["release"], result["rootVersion"]) == (0, "passed", 1, 1)


def test_the_root_is_all_that_is_needed(audited: Any) -> None:
    """Keys, drafts and what CI remembers may be gone."""
    for path in audited.place.keys.iterdir():
        path.unlink()
    (audited.place.tree / ".lock").unlink()

    assert audited.audit()[0] == 0


def test_nothing_is_left_behind(audited: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing that is published is written to."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    before = audited.place.files()
    audited.audit()

    assert audited.place.files() == before
    assert list(scratch.iterdir()) == []


def test_the_table_is_for_people(audited: Any) -> None:
    """The verdict first, a line a check, problems below."""
    (audited.published / "disk.img").write_bytes(b"other")
    code, out, _ = audited.command(
        *("audit", "v1", "--root", audited.place.path / "pinned.json", "--directory", audited.place.tree),
        *("--time", audited.place.time.isoformat(), "--source", audited.public.path),
    )
    lines = out.splitlines()

    assert code == 1
    assert lines[0] == "v1, release 1: FAILED"
    assert next(line.split()[:2] for line in lines if line.startswith("  FAIL")) == ["FAIL", "assets"]
    assert any(line.strip() == "- disk.img: has another SHA-256 than is signed" for line in lines)


def test_a_plain_web_server_cannot_list(audited: Any) -> None:
    """What nobody vouches for could lie there: undecided, unless that was not asked for."""
    with served(audited.place.tree / "download") as base:
        code, result = audited.audit(base_url=base)
        assert (code, result["verdict"]) == (3, "undecided")
        assert results(result)["listing"] == "not-done"
        code, result = audited.audit("--skip", "listing", base_url=base)

    assert (code, result["verdict"]) == (0, "passed")
    assert results(result)["listing"] == "skipped"


def test_without_a_server_nothing_is_decided(audited: Any) -> None:
    """That nobody answers is no proof of anything."""
    with served(audited.place.path) as base:
        pass
    code, result = audited.audit(base_url=base)

    assert (code, result["verdict"]) == (3, "undecided")
    assert set(results(result).values()) == {"not-done", "skipped"}


def test_without_a_source_nothing_is_said_about_it(audited: Any) -> None:
    """The rest is looked at all the same."""
    code, out, _ = audited.command(
        *("audit", "v1", "--root", audited.place.path / "pinned.json", "--directory", audited.place.tree),
        *("--time", audited.place.time.isoformat(), "--json"),
    )
    found = results(json.loads(out))

    assert code == 3
    assert {name for name, result in found.items() if result == "not-done"} == {"source", "inputs", "tag"}


def test_a_repository_that_cannot_be_read_leaves_it_open(audited: Any, tmp_path: Path) -> None:
    """A directory without a repository, and git's words on it."""
    (tmp_path / "empty").mkdir()
    code, result = audited.audit(source=tmp_path / "empty")
    checks = {one["name"]: one for one in result["checks"]}

    assert code == 3
    assert "cannot be read" in checks["source"]["detail"]


@pytest.mark.parametrize("kind", ["runner.cdx.json", "provenance.intoto.json"])
def test_a_release_without_its_papers_is_undecided(unpublished: Any, kind: str) -> None:
    """Nothing is wrong with it; something is not there to be looked at."""
    unpublished.run_provenance([path for path in unpublished.assets if path.name != kind])
    gone = unpublished.directory / kind
    arguments = [one for one in unpublished.publish_arguments() if one != gone]
    unpublished.run(*arguments)
    code, result = unpublished.audit()

    assert code == 3
    assert [one["name"] for one in result["checks"] if one["result"] == "not-done"] == [
        "sbom" if "cdx" in kind else "provenance"
    ]


def test_a_second_release_leaves_the_first_as_it_was(audited: Any) -> None:
    """History grows, and holds."""
    audited.place.publish(2)

    assert audited.audit()[0] == 0


def test_keys_that_were_replaced_still_count_for_what_they_signed(audited: Any) -> None:
    """An old release is audited with the keys of its time, and which root that was is told."""
    where = ("--directory", audited.place.tree, "--keys", audited.place.keys)
    time = ("--time", audited.place.time.isoformat())
    audited.run("trust", "rotate", "targets", *where, *time)
    code, result = audited.audit()
    checks = {one["name"]: one for one in result["checks"]}

    assert code == 0
    assert result["rootVersion"] == 2
    assert "root 1" in checks["sums-signature"]["detail"]
    assert audited.audit("--skip", "history")[0] == 0


def test_a_later_root_will_do(audited: Any) -> None:
    """Images pin the newest; what came before it is looked at as far as it leads there."""
    where = ("--directory", audited.place.tree, "--keys", audited.place.keys)
    audited.run("trust", "rotate", "targets", *where, "--time", audited.place.time.isoformat())
    newest = audited.place.tree / "download/trust/2.root.json"
    (audited.place.path / "pinned.json").write_bytes(newest.read_bytes())
    assert audited.audit()[0] == 0
    first = audited.place.tree / "download/trust/1.root.json"
    impostor: Metadata[Root] = Metadata.from_bytes(first.read_bytes())
    signer = CryptoSigner.generate_ed25519()
    impostor.signed.add_key(signer.public_key, "targets")
    impostor.sign(signer)
    first.write_bytes(impostor.to_bytes())

    problem = "1.root.json: does not belong to the chain of the pinned root"
    assert problem in audited.failing()["history"]


def test_states_without_end_are_not_counted_to_the_end(audited: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stolen key may number them as it likes: undecided, and soon."""
    monkeypatch.setattr("ec_release.audit.history._MAX", 1)
    code, result = audited.audit()

    assert code == 3
    assert "2 states where at most 1" in next(one["detail"] for one in result["checks"] if one["name"] == "history")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "where the release is"),
        (("--directory", "x", "--base-url", "http://x/"), "where the release is"),
        (("--server", "http://x"), "where the release is"),
        (("--base-url", "ftp://x/"), "address"),
        (("--directory", "nowhere"), "no published tree"),
        (("--base-url", "http://127.0.0.1:1/", "--skip", "everything"), "no check everything"),
        (("--base-url", "http://127.0.0.1:1/", "--source", "ext::sh -c touch% x"), "neither a directory nor"),
        (("--base-url", "http://127.0.0.1:1/", "--source=--upload-pack=x"), "neither a directory nor"),
        (("--base-url", "http://127.0.0.1:1/", "--source", "ssh://-oProxyCommand=x/y"), "neither a directory nor"),
        (("--base-url", "http://127.0.0.1:1/", "--source", "git@git.example.org:o/r"), "neither a directory nor"),
        (("--base-url", "http://127.0.0.1:1/", "--allowed-signers", "nowhere"), "is no file"),
        (("--server", "http://127.0.0.1:1", "--repository", "o/n/x"), "no repository"),
    ],
)
def test_what_makes_no_sense_is_a_mistake(audited: Any, arguments: tuple[str, ...], message: str) -> None:
    """Before anything is asked for."""
    code, _, err = audited.command("audit", "v1", "--root", audited.place.path / "pinned.json", *arguments)

    assert message in err
    assert code == 2


@pytest.mark.parametrize("tag", ["../x", "trust", "a/b"])
def test_a_tag_that_leads_elsewhere_is_refused(audited: Any, tag: str) -> None:
    """It names a directory, and only that."""
    code, _, err = audited.command(
        "audit", tag, "--root", audited.place.path / "pinned.json", "--directory", audited.place.tree
    )

    assert (code, "cannot be a release tag" in err) == (2, True)
