"""Everything that a demonstration needs, below one directory: a build machine, a server, and as many nodes as wanted.

LAB/ci/         the build machine: repository, store, keys
LAB/site/       what is served: releases/download/…, cache/
LAB/pristine/   a node as it was installed; every other node is a copy
LAB/nodes/      those copies
"""

from __future__ import annotations

import contextlib
import platform
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

from ec_verify.demo import programs
from ec_verify.demo.ci import Ci, Release
from ec_verify.demo.node import Node, Result
from ec_verify.demo.programs import Programs
from ec_verify.demo.server import Server
from ec_verify.demo.store import Store, remove

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from ec_verify.demo.programs import Ran


@dataclass(frozen=True)
class Published:
    """A release, and the site that serves it (and those before it)."""

    release: Release
    site: Path


class Lab:
    """A build machine, its server and a pristine node; a context manager.

    *watch* is told of every program that ran. Raises `DemoError` when a program is missing or fails.
    """

    def __init__(self, base: Path, watch: Callable[[Ran], None] | None = None) -> None:
        found = programs.find_all()
        self.base = base
        self.site = base / "site"
        self.ci = Ci(base / "ci", found["bash-static"], watch)
        self.programs = Programs(programs.environment(base / "home", self.ci.nix_conf()), watch)
        self._open = contextlib.ExitStack()
        self.server: Server
        self.release: Release
        self.pinned_root: Path
        self._pristine: Node

    def build(self) -> Self:
        """Build, describe, sign and publish the appliance, and install a node with it."""
        self.build_system()
        self.publish()
        self.serve()
        self.install()
        return self

    def build_system(self) -> None:
        """Let the build machine build the system."""
        self.ci.prepare(f"{platform.machine()}-linux")
        self.ci.build()

    def publish(self) -> None:
        """Let the build machine describe, sign and publish the system as the first release."""
        self.release = self.ci.describe(1)
        self.pinned_root = self.ci.trust(self.site)
        self.ci.publish(self.release, self.site)

    def serve(self) -> None:
        """Start serving what was published."""
        self.server = self._open.enter_context(Server(self.site))

    def install(self) -> None:
        """Install the pristine node from the cache."""
        self._pristine = self._install("pristine", self.base / "pristine", self.release, self.server)

    def clone_node(self, name: str) -> Node:
        """Return a new node, a copy of the pristine one: own bytes, same modes, owners and times."""
        directory = self.base / "nodes" / name
        directory.parent.mkdir(exist_ok=True)
        self.copy(self._pristine.directory, directory)
        node = Node(self, name, directory, self._pristine.release)
        self._open.push(node.cleanup)
        node.configure(self.server.url)
        return node

    def verify(self, node: Node, *arguments: str) -> Result:
        """Run `ec-verify run` on *node* and return what it reported."""
        command = ["ec-verify", "run", "--config", str(node.config), "--json", *arguments, *node.arguments]
        return Result.of(self.programs.attempt([*node.wrapper, *command], extra=node.environment))

    @cached_property
    def second(self) -> Published:
        """A second release, of a system whose editor draws numbers in both of its outputs."""
        ci = self.ci.twin(self.base / "second-ci")
        editor = ci.repository / "parts" / "editor.nix"
        text = editor.read_text()
        for output in ("out", "doc"):
            text = text.replace(f'" > "${output}"', f' $RANDOM$RANDOM" > "${output}"')
        editor.write_text(text)
        ci.commit("An editor that differs every time")
        ci.build()
        return self._publish(ci, "second-site")

    @cached_property
    def lying(self) -> Published:
        """A second release by a build machine that was broken into: it signs bytes that its source does not make."""
        ci = self.ci.twin(self.base / "lying-ci")
        store = Store(ci.root)
        path = self.release.path("publisher-1.4")
        store.overwrite(
            path, store.physical(path).read_bytes().replace(b"version 1.4", b"version 1.4, and a back door")
        )
        store.rewrite_row(path)
        return self._publish(ci, "lying-site")

    def variant(self, name: str, edit: Callable[[Path], None]) -> Published:
        """Return a second release, of the appliance after *edit* changed the repository that it is given."""
        ci = self.ci.twin(self.base / f"{name}-ci")
        edit(ci.repository)
        ci.commit("A variant")
        ci.build()
        return self._publish(ci, f"{name}-site")

    def _publish(self, ci: Ci, name: str) -> Published:
        site = self.base / name
        release = ci.describe(2)
        self.copy(self.site, site)
        # A cache keeps what it has: this one must offer what this release signed.
        remove(site / "cache")
        ci.publish(release, site)
        return Published(release, site)

    def serve_copy(self, node: Node, site: Path | None = None) -> Server:
        """Give *node* a server of its own, with a copy of *site* that an attacker may change."""
        directory = node.directory / "site"
        self.copy(site or self.site, directory)
        server = node.cleanup.enter_context(Server(directory))
        node.configure(server.url)
        return server

    def copy(self, source: Path, target: Path) -> None:
        """Copy a tree with all its metadata; no file is shared."""
        self.programs.run(["cp", "--archive", "--reflink=auto", source, target])

    def close(self) -> None:
        """Stop the servers. Files stay."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _install(self, name: str, directory: Path, release: Release, server: Server) -> Node:
        directory.mkdir(parents=True)
        node = Node(self, name, directory, release)
        node.install(release, server.url)
        (directory / "root.json").write_bytes(self.pinned_root.read_bytes())
        node.state.mkdir()
        node.write_policy()
        node.configure(server.url)
        return node
