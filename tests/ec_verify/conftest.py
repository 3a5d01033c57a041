"""What the tests of the verifier share: scenes for the judge, and nodes with a small signed system."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import structlog

from ec_closure import manifest as manifests
from ec_closure import nix32
from ec_closure.content_address import ContentAddress, source_store_path, store_path_of
from ec_closure.hashes import Hash
from ec_closure.manifest import Builder, Manifest, PathRecord, Release, Source, System
from ec_closure.nar.hash import hash_path
from ec_closure.policy import Policy
from ec_closure.report import RunOutput
from ec_closure.store_db import PathInfo
from ec_release.backend.directory import DirectoryBackend
from ec_release.publishing import plan
from ec_release.publishing.publish import publish
from ec_release.trust.initialise import initialise
from ec_release.trust.keys import load_ring
from ec_release.trust.roles import Periods
from ec_release.trust.update import Signing
from ec_verify import main
from ec_verify.judge import Case, Judgement, judge
from ec_verify.model import Evaluation, Observation, OutputEvidence, Problem, Rebuild, TrustOutcome
from ec_verify.observe.running import Running
from ec_verify.scan.path import PathObservation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ec_closure.policy import Level

STORE = "/nix/store"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _fresh_logs() -> Iterator[None]:
    """Leave no logger behind that writes to the standard error of a test that is over."""
    yield
    structlog.reset_defaults()


def sri(text: str) -> str:
    """Return the SHA-256 of *text* as Nix writes hashes into lock files."""
    return Hash.of("sha256", text.encode()).sri


def store_path(name: str) -> str:
    """Return a store path called *name*, always the same."""
    return f"{STORE}/{nix32.encode(hashlib.sha256(name.encode()).digest()[:20])}-{name}"


LIBRARY, TOOL, EDITOR, SYSTEM = (store_path(name) for name in ("library", "tool", "editor", "system"))
TEXT = store_path_of(ContentAddress("text", Hash.of("sha256", b"text")), "text", ())
SOURCE = source_store_path(Hash.parse(sri("source")))


def record(path: str, **changes: Any) -> PathRecord:
    """Return what CI says of *path*: built, unless *changes* say otherwise."""
    given: dict[str, Any] = {"path": path, "nar_hash": sri(path), "nar_size": 120, "origin": "built"}
    given |= changes
    if given["origin"] == "built":
        given = {"deriver": f"{path}.drv", "output": "out"} | given
    return PathRecord(**given)


def manifest_of(records: list[PathRecord], *, system: str = SYSTEM, version: int = 5, **changes: Any) -> Manifest:
    """Return the manifest of *system*, whose closure is *records*."""
    given: dict[str, Any] = {
        "release": Release(tag=f"v{version}", version=version, issued=0),
        "source": Source(nar_hash=sri("source"), store_path=SOURCE),
        "system": System(
            name="system", attr="system", platform="x86_64-linux", drv_path=f"{system}.drv", out_path=system
        ),
        "builder": Builder(nix="2.8.0", sandbox=True, platform="x86_64-linux"),
        "paths": tuple(sorted(records, key=lambda one: one.path)),
    }
    return Manifest(**(given | changes))


def row_of(signed: PathRecord, references: tuple[str, ...] = (), **changes: Any) -> PathInfo:
    """Return the database row that agrees with *signed*."""
    row = PathInfo(
        path=signed.path,
        nar_hash=Hash.parse(signed.nar_hash),
        nar_size=signed.nar_size,
        references=references,
        ca=signed.ca,
    )
    return replace(row, **changes)


def look_of(signed: PathRecord, **changes: Any) -> PathObservation:
    """Return what is seen where *signed* lies untouched."""
    look = PathObservation(
        signed.path, signed.nar_hash, signed.nar_size, deserved=signed.path if signed.ca is not None else None
    )
    return replace(look, **changes)


@dataclass
class Scene:
    """A case in which everything is as it should be, until a test changes it."""

    case: Case

    def set(self, **changes: Any) -> Scene:
        """Change the case itself."""
        self.case = replace(self.case, **changes)
        return self

    def observe(self, **changes: Any) -> Scene:
        """Change the observation."""
        return self.set(observation=replace(self.case.observation, **changes))

    def run(self, **changes: Any) -> Scene:
        """Change what runs."""
        return self.observe(running=replace(self.case.observation.running, **changes))

    def look(self, path: str, **changes: Any) -> Scene:
        """Change what was seen of *path*."""
        looks = self.case.observation.paths
        return self.observe(paths=looks | {path: replace(looks.get(path, PathObservation(path)), **changes)})

    def row(self, path: str, **changes: Any) -> Scene:
        """Change the database's row of *path*."""
        rows = self.case.observation.rows
        return self.observe(rows=rows | {path: replace(rows[path], **changes)})

    def add(self, *, path: str, **look: Any) -> Scene:
        """Register a path that the manifest does not list."""
        signed = record(path)
        rows = self.case.observation.rows | {path: row_of(signed)}
        return self.observe(rows=rows, paths=self.case.observation.paths | {path: look_of(signed, **look)})

    def drop(self, path: str, *, row: bool = True, look: bool = True) -> Scene:
        """Forget what was registered and seen of *path*."""
        rows, looks = dict(self.case.observation.rows), dict(self.case.observation.paths)
        if row:
            rows.pop(path)
        if look:
            looks.pop(path)
        return self.observe(rows=rows, paths=looks)

    def trust(self, **changes: Any) -> Scene:
        """Change the outcome of step 1."""
        return self.set(trust=replace(self.case.trust, **changes))

    def evaluation(self, **changes: Any) -> Scene:
        """Change the evaluation."""
        assert self.case.evaluation is not None
        return self.set(evaluation=replace(self.case.evaluation, **changes))

    def rebuild(self, **changes: Any) -> Scene:
        """Change the rebuild."""
        assert self.case.rebuild is not None
        return self.set(rebuild=replace(self.case.rebuild, **changes))

    def evidence(self, path: str, **changes: Any) -> Scene:
        """Change what rebuilding *path* showed."""
        assert self.case.rebuild is not None
        outputs = self.case.rebuild.outputs
        return self.rebuild(outputs=outputs | {path: replace(outputs[path], **changes)})

    def policy(self, **changes: Any) -> Scene:
        """Change the policy, as its file would spell it."""
        return self.set(policy=msgspec.convert(msgspec.to_builtins(self.case.policy) | changes, Policy))

    def judge(self) -> Judgement:
        """Judge it."""
        return judge(self.case)

    def codes(self) -> list[str]:
        """Return the codes of the findings."""
        return [finding.code for finding in self.judge().findings]

    def message(self, code: str) -> str:
        """Return the message of the one finding of *code*."""
        (found,) = (finding.message for finding in self.judge().findings if finding.code == code)
        return found

    def verdict_on(self, path: str) -> str:
        """Return the word for *path*."""
        (found,) = (one.verdict for one in self.judge().paths if one.record.path == path)
        return found

    def reason_for(self, path: str) -> str:
        """Return why *path* has no better verdict."""
        (found,) = (one.reason for one in self.judge().paths if one.record.path == path)
        return found


def make_scene(level: Level = "bytes") -> Scene:
    """Return an untouched system of four paths: built, built from it, from a cache, a text; and the system itself."""
    text = record(TEXT, origin="copied", ca=ContentAddress("text", Hash.of("sha256", b"text")).render())
    cached = record(EDITOR, origin="substituted", cache="cache.invalid-1")
    plain = [record(LIBRARY), record(TOOL), cached, text, record(SYSTEM)]
    order = {path: position for position, path in enumerate(sorted(one.path for one in plain))}
    needs = {TOOL: {LIBRARY}, SYSTEM: {TOOL, EDITOR, TEXT}}
    records = [
        msgspec.structs.replace(one, references=tuple(sorted(order[path] for path in needs.get(one.path, ()))))
        for one in plain
    ]
    manifest = manifest_of(records)
    evaluation, rebuild = None, None
    if level != "bytes":
        evaluation = Evaluation(flake=None, attr="system", drv_path=f"{SYSTEM}.drv", out_path=SYSTEM)
    if level in ("rebuild", "full"):
        tested = [one for one in records if one.ca is None and (level == "full" or one.origin == "built")]
        outputs = {one.path: OutputEvidence(one.path, f"{one.path}.drv", "out", one.nar_hash) for one in tested}
        rebuild = Rebuild(outputs=outputs, asked=len(tested), builders=len(tested), rounds=1)
    return Scene(
        Case(
            level=level,
            policy=Policy(level=level),
            time=int(NOW.timestamp()),
            store_dir=STORE,
            trust=TrustOutcome(
                manifest=manifest,
                manifest_digest="0" * 64,
                target="v5/system.closure.json.zst",
                metadata_age=3600,
                latest_version=5,
                newer_releases=0,
            ),
            observation=Observation(
                running=Running(current=SYSTEM, booted=SYSTEM, profile=SYSTEM),
                mounts=(),
                rows={one.path: row_of(one, tuple(sorted(needs.get(one.path, ())))) for one in records},
                entries=(),
                paths={one.path: look_of(one) for one in records},
            ),
            evaluation=evaluation,
            rebuild=rebuild,
        )
    )


@pytest.fixture(scope="session")
def scenes() -> Callable[..., Scene]:
    """Give a function that makes an untouched scene of a level."""
    return make_scene


@pytest.fixture
def scene() -> Scene:
    """Give an untouched scene of level bytes."""
    return make_scene()


class Names:
    """The store paths of a scene, and functions that make its parts."""

    library, tool, editor, text, system, source = LIBRARY, TOOL, EDITOR, TEXT, SYSTEM, SOURCE
    store_path = staticmethod(store_path)
    sri = staticmethod(sri)
    record = staticmethod(record)
    manifest_of = staticmethod(manifest_of)
    row_of = staticmethod(row_of)
    look_of = staticmethod(look_of)
    now = NOW

    @staticmethod
    def problem(code: str, path: str | None = None) -> Problem:
        """Return a problem that a step had."""
        return Problem(code, f"a problem called {code}", path)


@pytest.fixture(scope="session")
def names() -> type[Names]:
    """Give the names of a scene."""
    return Names


@dataclass(frozen=True)
class Ran:
    """How a command went."""

    exit: int
    out: str
    err: str

    @property
    def report(self) -> RunOutput:
        """What `--json` printed."""
        return msgspec.json.decode(self.out.encode(), type=RunOutput)

    @property
    def codes(self) -> set[str]:
        """The codes of its findings."""
        return {finding.code for finding in self.report.findings}

    def assert_refused(self, code: int = 2) -> None:
        """Check that nothing was printed but one clear line and a hint, whatever was under way."""
        *_, complaint, hint = self.err.splitlines()
        assert (code, "", True, True) == (
            self.exit,
            self.out,
            complaint.startswith("ec-verify: ") and len(complaint) > len("ec-verify: "),
            hint.startswith("  hint: "),
        )
        assert "Traceback" not in self.err
        assert self.err.replace("\n", "").isprintable()


@dataclass(frozen=True)
class Signed:
    """A signed system: its store in *root*, what was published in *site* with *keys*, its pinned root, its manifest."""

    root: Path
    site: Path
    keys: Path
    pinned: Path
    manifest: Manifest
    paths: dict[str, str]


@dataclass
class Node:
    """A machine that runs the signed system, with a configuration that a test may change."""

    directory: Path
    signed: Signed
    capsys: pytest.CaptureFixture[str]
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=lambda: {"level": "bytes"})

    @property
    def root(self) -> Path:
        """Its file system."""
        return self.directory / "root"

    @property
    def state(self) -> Path:
        """The verifier's own state."""
        return self.directory / "state"

    @property
    def site(self) -> Path:
        """What is published."""
        return self.directory / "site"

    @property
    def manifest_file(self) -> Path:
        """The published manifest."""
        return self.site / "download" / "v1" / "small.closure.json.zst"

    def path(self, name: str) -> str:
        """Return the logical store path called *name*."""
        return self.signed.paths[name]

    def physical(self, name: str) -> Path:
        """Return where the store path called *name* lies."""
        return self.root / self.path(name).lstrip("/")

    def configure(self) -> Path:
        """Write verify.toml and policy.toml and return the former."""
        base = f"{self.site.as_uri()}/download/"
        tables: dict[str, dict[str, Any]] = {
            "": {
                "node": "node-1",
                "node_file": "",
                "state_dir": str(self.state),
                "policy": str(self.directory / "policy.toml"),
            },
            "store": {"root": str(self.root)},
            "trust": {
                "root": str(self.signed.pinned),
                "metadata_base": f"{base}trust/",
                "target_base": base,
            },
        }
        for name, table in self.tables.items():
            tables[name] = tables.get(name, {}) | table
        (self.directory / "policy.toml").write_text(toml(self.policy))
        file = self.directory / "verify.toml"
        file.write_text("".join((f"[{name}]\n" if name else "") + toml(table) for name, table in tables.items()))
        return file

    def run(self, command: str, *arguments: str | Path, time: bool = True) -> Ran:
        """Run a subcommand with this node's configuration, at a fixed time."""
        given = [command, *map(str, arguments), "--config", str(self.configure())]
        return self.ran(*given, *(["--time", NOW.isoformat()] if time else []))

    def ran(self, *arguments: str) -> Ran:
        """Run a command line as it is."""
        self.capsys.readouterr()
        code = main.run(arguments)
        said = self.capsys.readouterr()
        return Ran(code, said.out, said.err)

    def publish(self, version: int, *manifests_of_it: Manifest) -> None:
        """Publish release *version* with manifests, each called by its place."""
        scratch = self.directory / f"release-{version}"
        scratch.mkdir()
        assets = []
        for number, one in enumerate(manifests_of_it):
            assets.append(scratch / f"system-{number}.closure.json.zst")
            assets[-1].write_bytes(manifests.encode(one))
        (scratch / "notes.txt").write_text("notes\n")
        made = plan.make(f"v{version}", version, [scratch / "notes.txt"], assets)
        signing = Signing(load_ring([self.signed.keys]), NOW, Periods())
        publish(DirectoryBackend(self.site), made, signing, self.signed.pinned.read_bytes())

    def sql(self, statement: str, *values: object) -> None:
        """Change the store database."""
        with closing(sqlite3.connect(self.root / "nix/var/nix/db/db.sqlite")) as connection, connection:
            connection.execute(statement, values)


def toml(table: dict[str, Any]) -> str:
    """Return *table* as TOML; JSON spells texts, numbers and lists the same way. Tables inside it come last."""
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    inner = {key: value for key, value in table.items() if isinstance(value, dict)}
    lines = [f"{key} = {msgspec.json.encode(value).decode()}\n" for key, value in plain.items()]
    return "".join([*lines, *(f"[{key}]\n{toml(value)}" for key, value in inner.items())])


def plant(path: Path, tree: str | dict[str, Any]) -> None:
    """Make a tree as Nix leaves it: texts are files, those of names in `bin` executable; read-only, times 1."""
    if isinstance(tree, str):
        path.write_text(tree)
        path.chmod(0o555 if path.parent.name == "bin" else 0o444)
    else:
        path.mkdir()
        for name, below in tree.items():
            plant(path / name, below)
        path.chmod(0o555)
    os.utime(path, (1, 1))


@pytest.fixture(scope="session")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    """Give a small system that was signed and published: made once, copied by those who change it."""
    if shutil.which("nix-store") is None:
        pytest.skip("there is no nix on the PATH")
    base = tmp_path_factory.mktemp("signed")
    root = base / "root"
    store = root / "nix" / "store"
    store.mkdir(parents=True)
    records: dict[str, PathRecord] = {}
    references: dict[str, tuple[str, ...]] = {}

    def keep(name: str, tree: str | dict[str, Any], *, ca: str = "", needs: tuple[str, ...] = ()) -> str:
        aside = store / name
        plant(aside, tree)
        seen = hash_path(aside)
        path, address = store_path(name), None
        if ca == "text":
            address = ContentAddress("text", Hash.of("sha256", aside.read_bytes()))
        elif ca:
            address = ContentAddress("recursive", seen.hash)
        if address is not None:
            path = store_path_of(address, name)
        aside.rename(root / path.lstrip("/"))
        records[path] = record(
            path,
            nar_hash=seen.hash.sri,
            nar_size=seen.size,
            ca=address.render() if address else None,
            origin="copied" if address else "built",
        )
        references[path] = needs
        return path

    library = keep("library", "a library\n")
    text = keep("text", "a text\n", ca="text")
    tool = keep("tool", {"bin": {"tool": f"#!{library}\n"}, "share": {"doc": "words\n"}}, needs=(library,))
    dependency = keep("source", {"default.nix": "{ }\n"}, ca="source")
    lock = {
        "version": 7,
        "root": "root",
        "nodes": {
            "root": {"inputs": {"dependency": "dependency"}},
            "dependency": {"locked": {"type": "path", "narHash": records[dependency].nar_hash}},
        },
    }
    flake = keep(
        "source",
        {"flake.nix": "{ outputs = _: { }; }\n", "flake.lock": msgspec.json.encode(lock).decode()},
        ca="source",
    )
    system = keep("system", {"init": f"{tool} {text}\n", "source": flake}, needs=(tool, text, flake, dependency))
    order = {path: position for position, path in enumerate(sorted(records))}
    manifest = manifest_of(
        [
            msgspec.structs.replace(one, references=tuple(sorted(order[path] for path in references[one.path])))
            for one in records.values()
        ],
        system=system,
        version=1,
        source=Source(nar_hash=records[flake].nar_hash, store_path=flake),
    )
    _register(root, records, references)
    for link, target in (
        ("run/current-system", system),
        ("run/booted-system", system),
        ("nix/var/nix/profiles/system-1-link", system),
        ("nix/var/nix/profiles/system", "system-1-link"),
        ("etc/every-channel/flake", flake),
    ):
        (root / link).parent.mkdir(parents=True, exist_ok=True)
        (root / link).symlink_to(target)
    site = base / "site"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", bool)
        pinned = _publish(site, base / "keys", manifest)
    paths = {"library": library, "text": text, "tool": tool, "dependency": dependency, "flake": flake}
    return Signed(root, site, base / "keys", pinned, manifest, paths | {"system": system})


def _register(root: Path, records: dict[str, PathRecord], references: dict[str, tuple[str, ...]]) -> None:
    """Let Nix itself write the database."""
    lines = [
        line
        for path, one in records.items()
        for line in (
            path,
            Hash.parse(one.nar_hash).base16,
            str(one.nar_size),
            "",
            str(len(references[path])),
            *references[path],
        )
    ]
    subprocess.run(
        ["nix-store", "--store", str(root), "--load-db"],
        input="".join(f"{line}\n" for line in lines).encode(),
        env={"PATH": os.environ["PATH"], "HOME": str(root.parent), "NIX_CONF_DIR": str(root.parent)},
        check=True,
    )
    with closing(sqlite3.connect(root / "nix/var/nix/db/db.sqlite")) as connection, connection:
        # Whenever the tests run, that was before the time that they judge by.
        connection.execute("update ValidPaths set registrationTime = 1")
        connection.executemany(
            "update ValidPaths set ca = ? where path = ?", [(one.ca, path) for path, one in records.items() if one.ca]
        )


def _publish(site: Path, keys: Path, manifest: Manifest) -> Path:
    """Publish *manifest* as a release and return the root to pin."""
    backend = DirectoryBackend(site)
    made = initialise(backend, keys, root_keys=1, root_threshold=1, time=NOW, periods=Periods())
    asset = site.parent / "small.closure.json.zst"
    asset.write_bytes(manifests.encode(manifest))
    publish(
        backend, plan.make("v1", 1, [], [asset]), Signing(load_ring([keys]), NOW, Periods()), made.root.read_bytes()
    )
    return made.root


@pytest.fixture
def bare_node(signed: Signed, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Node:
    """Give a machine without a disk: for commands that end before they look."""
    return Node(tmp_path, signed, capsys)


@pytest.fixture
def node(signed: Signed, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Node:
    """Give a machine of its own that runs the signed system."""
    for name in ("root", "site"):
        subprocess.run(["cp", "--archive", getattr(signed, name), tmp_path / name], check=True)
    return Node(tmp_path, signed, capsys)
