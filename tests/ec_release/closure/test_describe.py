"""Describing a real system: what stands in the manifest, and when there is none."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ec_closure import manifest as manifests
from ec_closure.signing import Keyring
from ec_closure.store_db import StoreDatabase
from ec_release.closure.describe import Machine, Wanted, describe
from ec_release.closure.errors import DamagedStoreError, EvaluationError, NotBuiltError
from ec_release.closure.location import Location
from ec_release.closure.source import Commit, read_commit
from ec_release.program import ProgramError
from ec_verify.demo.ci import ATTR, Ci
from ec_verify.demo.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from ec_closure.manifest import Manifest

pytestmark = [pytest.mark.nix, pytest.mark.root]


@pytest.fixture(autouse=True)
def _configuration_of_the_build_machine(built: Ci, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NIX_CONF_DIR", "NIX_USER_CONF_FILES"):
        monkeypatch.setenv(name, built.programs.environment[name])


def _wanted(ci: Ci, **changes: object) -> Wanted:
    return replace(Wanted(ci.repository, ATTR, "appliance", "boot-v1", 1), **changes)  # type: ignore[arg-type]  # fields of any type


def _machine(ci: Ci, **changes: object) -> Machine:
    machine = Machine(Location(ci.root), Keyring([ci.upstream_key.public]))
    return replace(machine, **changes)  # type: ignore[arg-type]  # fields of any type


def _describe(ci: Ci) -> Manifest:
    return describe(_wanted(ci), read_commit(ci.repository), _machine(ci))


@pytest.fixture(scope="module")
def manifest(built: Ci) -> Manifest:
    """Give the manifest of the appliance."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NIX_CONF_DIR", "NIX_USER_CONF_FILES"):
            patch.setenv(name, built.programs.environment[name])
        return _describe(built)


def test_describing_twice_gives_the_same_bytes(built: Ci, manifest: Manifest) -> None:
    """Nothing but the system and its commit stands in a manifest."""
    assert manifests.encode(manifest) == manifests.encode(_describe(built))


def test_export_without_git_is_described_alike(built: Ci, manifest: Manifest, tmp_path: Path) -> None:
    """A tarball of the commit, with the commit's name and time given, makes the same manifest."""
    tree = tmp_path / "export"
    shutil.copytree(built.repository, tree, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    commit = Commit(manifest.source.rev or "", manifest.release.issued)

    assert manifest == describe(_wanted(built, flake=tree), commit, _machine(built))


def test_references_and_hashes_are_those_of_the_store(built: Ci, manifest: Manifest) -> None:
    """Every path of the closure, and only those."""
    with StoreDatabase.open(built.root / "nix/var/nix") as database:
        rows = database.closure(manifest.system.out_path)

    assert [(row.path, row.nar_hash.sri, row.nar_size, row.references, row.ca) for row in rows] == [
        (record.path, record.nar_hash, record.nar_size, manifest.references_of(record), record.ca)
        for record in manifest.paths
    ]


def test_origins_are_told_apart(manifest: Manifest) -> None:
    """One path came from upstream's cache, four from the source, the rest was built."""
    origins = Counter(record.origin for record in manifest.paths)

    assert (1, 4) == (origins["substituted"], origins["copied"])
    assert {"upstream.invalid-1"} == {record.cache for record in manifest.paths if record.cache}


def test_second_output_names_its_output(manifest: Manifest) -> None:
    """Deriver and output say what to rebuild."""
    outputs = {record.output for record in manifest.paths if record.path.endswith(("-editor-9", "-editor-9-doc"))}

    assert {"out", "doc"} == outputs


def test_source_and_lock_are_recorded(built: Ci, manifest: Manifest) -> None:
    """The embedded flake is in the closure, its lock is cited by digest, its input by hash and place."""
    paths = manifest.index()
    lock = (built.repository / "flake.lock").read_bytes()

    assert manifest.source.store_path in paths
    assert hashlib.sha256(lock).hexdigest() == manifest.source.lock_hash
    assert manifest.source.inputs["channels"].store_path in paths
    assert (
        built.programs.run(["git", "-C", built.repository, "rev-parse", "HEAD"]).stdout.strip() == manifest.source.rev
    )


def test_commit_time_is_the_time_of_issue(manifest: Manifest) -> None:
    """Not the clock's."""
    assert 1793491200 == manifest.release.issued


def test_cache_that_is_not_believed_is_not_cited(built: Ci) -> None:
    """Without upstream's key its path counts as built here."""
    described = describe(_wanted(built), read_commit(built.repository), _machine(built, keys=Keyring([])))

    assert "substituted" not in {record.origin for record in described.paths}


def test_what_an_image_holds_beyond_the_closure_is_listed_apart(built: Ci, manifest: Manifest) -> None:
    """Its closure too, without what the system has anyway."""
    generator = next(iter((built.root / "nix/store").glob("*-unit-generator")))
    also = f"/nix/store/{generator.name}"
    described = describe(_wanted(built, also=(also,)), read_commit(built.repository), _machine(built))

    assert (also,) == tuple(record.path for record in described.contents)
    assert manifest.paths == described.paths
    assert described == manifests.decode(manifests.encode(described))


def test_artifacts_are_listed_with_their_digests(built: Ci, tmp_path: Path) -> None:
    """By name, in order."""
    files = [tmp_path / name for name in ("b.iso", "a.img")]
    for file in files:
        file.write_bytes(b"image")
    described = describe(_wanted(built, artifacts=tuple(files)), read_commit(built.repository), _machine(built))

    assert [("a.img", 5), ("b.iso", 5)] == [(one.name, one.size) for one in described.artifacts]
    assert {hashlib.sha256(b"image").hexdigest()} == {one.sha256 for one in described.artifacts}


def test_bytes_that_differ_from_the_database_are_not_described(twin: Ci, manifest: Manifest) -> None:
    """A tampered build machine signs nothing."""
    path = next(record.path for record in manifest.paths if record.path.endswith("-publisher-1.4"))
    Store(twin.root).overwrite(path, b"evil")

    with pytest.raises(DamagedStoreError, match=f"{path}: holds sha256-.* where the database says"):
        _describe(twin)


@pytest.mark.parametrize("name", ["-os-release", "-tuner-firmware-5.1.bin"])
def test_bytes_that_differ_from_their_name_are_not_described(twin: Ci, manifest: Manifest, name: str) -> None:
    """Not even when the row was edited to agree: content addresses are recomputed."""
    path = next(record.path for record in manifest.paths if record.path.endswith(name))
    store = Store(twin.root)
    store.overwrite(path, b"evil")
    store.rewrite_row(path)

    with pytest.raises(DamagedStoreError, match=f"{path}: its bytes are not those that its name promises"):
        _describe(twin)


def test_altered_locked_input_is_not_described(twin: Ci, manifest: Manifest) -> None:
    """The lock's hash is compared with the row, and the row with the bytes."""
    path = manifest.source.inputs["channels"].store_path
    store = Store(twin.root)
    # A comment: it evaluates to the same system.
    data = store.physical(f"{path}/channels.nix").read_bytes()
    store.overwrite(f"{path}/channels.nix", data + b"# nothing\n")
    with pytest.raises(DamagedStoreError):
        _describe(twin)
    store.rewrite_row(path)
    with pytest.raises(DamagedStoreError, match="the locked input channels is not what the lock says"):
        _describe(twin)


def test_missing_path_is_told(twin: Ci, manifest: Manifest) -> None:
    """Registered, but gone."""
    path = next(record.path for record in manifest.paths if record.path.endswith("-tls.conf"))
    Store(twin.root).physical(path).unlink()

    with pytest.raises(DamagedStoreError, match=f"{path}: registered, but not there"):
        _describe(twin)


def test_system_must_be_built_or_is_built_on_request(twin: Ci) -> None:
    """What is described was made, not just evaluated."""
    (twin.repository / "parts" / "users.nix").write_text(
        '{ tools, ... }: tools.sh "users-groups.json" { } "echo {} > $out"'
    )
    twin.commit("Nobody")
    commit = read_commit(twin.repository)
    with pytest.raises(NotBuiltError, match="the system was not built"):
        describe(_wanted(twin), commit, _machine(twin))
    described = describe(_wanted(twin), commit, _machine(twin), build=True)

    assert Store(twin.root).physical(described.system.out_path).is_dir()


def test_output_that_reads_the_revision_is_found_at_once(twin: Ci) -> None:
    """CI builds it from git, where there is a revision; nodes evaluate a store path, where there is none."""
    (twin.repository / "parts" / "users.nix").write_text(
        '{ tools, self, ... }: tools.sh "users-groups.json" { } "echo ${self.rev or "none"} > $out"'
    )
    twin.commit("Reads the revision")
    twin.build()

    with pytest.raises(NotBuiltError) as caught:
        _describe(twin)
    assert "self.rev" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("attr", "message"),
    [
        ("nixosConfigurations.nobody", "nixosConfigurations.nobody"),
        ("nixosConfigurations.appliance.config", "nixosConfigurations.appliance.config"),
    ],
)
def test_attribute_that_is_no_system_is_told(built: Ci, attr: str, message: str) -> None:
    """Missing, or not a derivation."""
    with pytest.raises(EvaluationError, match=message):
        describe(_wanted(built, attr=attr), read_commit(built.repository), _machine(built))


def test_import_from_derivation_is_refused(twin: Ci) -> None:
    """Nodes refuse it, so nothing that needs it may be released."""
    (twin.repository / "parts" / "users.nix").write_text(
        '{ tools, ... }: import (tools.sh "made.nix" { } "echo 1 > $out")'
    )
    twin.commit("Imports what it builds")

    with pytest.raises(EvaluationError):
        _describe(twin)


def test_incomplete_lock_is_not_completed(twin: Ci) -> None:
    """An evaluation that would have to write the lock describes a flake that nobody committed."""
    (twin.repository / "flake.lock").write_text('{"nodes": {"root": {}}, "root": "root", "version": 7}')
    twin.commit("Forgets the lock")

    with pytest.raises(EvaluationError):
        _describe(twin)
    assert "" == twin.programs.run(["git", "-C", twin.repository, "status", "--porcelain"]).stdout


def test_home_and_search_path_of_the_user_are_not_seen(
    built: Ci, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings, registry and caches of whoever runs it have no effect, and get no entry."""
    (tmp_path / "nix").mkdir()
    (tmp_path / "nix" / "nix.conf").write_text("experimental-features = no-such-feature\nflake-registry = /nowhere\n")
    (tmp_path / "nix" / "registry.json").write_text("not JSON")
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("NIX_PATH", "nixpkgs=/nowhere")
    monkeypatch.setenv("NIX_CONFIG", "pure-eval = nonsense")

    assert manifest == _describe(built)
    assert {"nix"} == {entry.name for entry in tmp_path.iterdir()}
    assert {"nix.conf", "registry.json"} == {entry.name for entry in (tmp_path / "nix").iterdir()}


def test_program_that_is_not_there_is_told(built: Ci) -> None:
    """By its name."""
    with pytest.raises(ProgramError, match="/nowhere/nix"):
        describe(_wanted(built), read_commit(built.repository), _machine(built, program="/nowhere/nix"))
