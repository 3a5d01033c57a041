"""What the tests of audits share: a published release, its public repository, and an auditor."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import stamina
from tests.ec_release.whole_release import LOCK, SOURCE, Release

from ec_closure.nar.hash import hash_path
from ec_release.attesting import seal
from ec_release.publishing import plan
from ec_release.publishing.publish import publish
from ec_release.trust.keys import load_ring
from ec_release.trust.published import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ec_closure.manifest import Source


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """Serve *directory* as any web server does."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Repository:
    """A public git repository at *path*, with its own identity and none of the user's configuration."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch", "main")

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run git and return what it says."""
        person = {"NAME": "somebody", "EMAIL": "somebody@example.org", "DATE": "1790000000 +0000"}
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments],
            check=True,
            capture_output=True,
            input=stdin,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.path),
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_CONFIG_NOSYSTEM": "1",
                **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in person.items()},
            },
        )
        return done.stdout.decode().strip()

    def commit(self, **files: bytes) -> str:
        """Commit *files* and return the commit."""
        for name, data in files.items():
            (self.path / name.replace("__", ".")).write_bytes(data)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "x")
        return self.git("rev-parse", "HEAD")

    def source(self) -> Source:
        """Return what a manifest says of the commit: the hash of its files, as an export has them."""
        export = self.path.with_name(f"export-{self.git('rev-parse', 'HEAD')}")
        if not export.exists():
            export.mkdir()
            archive = subprocess.run(
                ["git", "-C", str(self.path), "archive", "HEAD"], check=True, capture_output=True
            ).stdout
            subprocess.run(["tar", "-x", "-C", str(export)], input=archive, check=True)
        return msgspec.structs.replace(
            SOURCE,
            nar_hash=hash_path(export).hash.sri,
            rev=self.git("rev-parse", "HEAD"),
            lock_hash=hashlib.sha256(LOCK).hexdigest(),
        )


@dataclass
class Audited(Release):
    """A release, its repository *public*, and an auditor."""

    public: Repository = field(kw_only=True)

    def publish(self) -> None:
        """Publish it as CI does."""
        self.run(*self.publish_arguments())

    def publish_edited(self, **edits: bytes) -> None:
        """Publish it as somebody does who holds CI's keys: with other bytes for assets, signed for all the same."""
        root = parse(self.place.root, "root", "root").signed
        whole = plan.make(
            self.tag,
            self.version,
            self.assets,
            [self.manifest_file],
            seal.of_root(root, load_ring([self.place.keys])),
        )
        for name, data in edits.items():
            old = whole.assets[name]
            whole.assets[name] = replace(
                old, data=data, path=None, sha256=hashlib.sha256(data).hexdigest(), length=len(data)
            )
        publish(self.place.backend, whole, self.place.signing, self.place.root)

    def audit(self, *more: Any, source: Any = None, **places: Any) -> tuple[int, dict[str, Any]]:
        """Audit it with the root alone; return exit code and result."""
        where = places or {"directory": self.place.tree}
        code, out, err = self.command(
            *("audit", self.tag, "--root", self.place.path / "pinned.json", "--time", self.place.time.isoformat()),
            *("--source", source or self.public.path, "--json", *more),
            *(word for name, value in where.items() for word in (f"--{name.replace('_', '-')}", value)),
        )
        assert out, err
        return code, json.loads(out)

    def failing(self, *more: Any, **places: Any) -> dict[str, list[str]]:
        """Audit it, and return the problems of each check that failed."""
        code, result = self.audit(*more, **places)
        failed = {one["name"]: one["problems"] for one in result["checks"] if one["result"] == "fail"}
        assert (code == 1) == bool(failed), result
        return failed


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    """Leave the pauses between attempts out."""
    with stamina.set_testing(True, attempts=2, cap=True):
        yield


@pytest.fixture
def unpublished(place: Any, command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> Audited:
    """Give a release that was not published yet, with the repository that it was built from."""
    public = Repository(tmp_path / "public")
    public.commit(flake__nix=b"{ outputs = _: { }; }\n", flake__lock=LOCK)
    (public.path / "run").symlink_to("flake.nix")
    (public.path / "tool").write_bytes(b"#!/bin/sh\n")
    (public.path / "tool").chmod(0o755)
    public.commit()
    public.git("tag", "v1")
    made = Audited(place.path / "dist", place, command, source=public.source(), public=public)
    (place.path / "pinned.json").write_bytes(place.root)
    made.write()
    return made


@pytest.fixture
def audited(unpublished: Audited) -> Audited:
    """Give a published release."""
    unpublished.publish()
    unpublished.place.time += timedelta(hours=1)
    return unpublished
