"""Attacks on what is rebuilt: a rebuild that is not one, a build machine that lies."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING

from ec_verify.demo.attacks.attack import Attack

if TYPE_CHECKING:
    from ec_closure.manifest import Manifest
    from ec_verify.demo.node import Node, Result

UNREPRODUCIBLE = "dhparams"
_BUILT_HERE = {"rebuilt", "fixed"}


def offer_outputs(node: Node) -> None:
    """Let the cache offer every output under test, signed: downloading is so much faster than building."""
    node.lab.serve_copy(node)


def all_were_built(node: Node, result: Result) -> str | None:
    """Ask that every path that CI built was built again, though the cache had it.

    Except what contains the one unreproducible path: that is rebuilt too, but proves less.
    """
    tainted = _referrers(node.release.manifest, node.path(UNREPRODUCIBLE))
    downloaded = [
        record.path
        for record in node.release.manifest.paths
        if record.origin == "built" and record.path not in tainted and result.paths.get(record.path) not in _BUILT_HERE
    ]
    return f"not rebuilt: {', '.join(downloaded)}" if downloaded else None


def _referrers(manifest: Manifest, path: str) -> set[str]:
    found = {path}
    while more := {
        record.path
        for record in manifest.paths
        if record.path not in found and found.intersection(manifest.references_of(record))
    }:
        found |= more
    return found


class FakeDaemon:
    """Listens where a Nix daemon would and counts who calls. Closes itself with the node's *cleanup*."""

    def __init__(self, node: Node) -> None:
        directory = node.root / "nix/var/nix/daemon-socket"
        directory.mkdir()
        self.calls = 0
        self.environment = {"NIX_REMOTE": "daemon", "NIX_DAEMON_SOCKET_PATH": str(directory / "socket")}
        self._socket = node.cleanup.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        # The name of a socket is short; a directory's descriptor names any directory in few characters.
        handle = os.open(directory, os.O_PATH)
        try:
            self._socket.bind(f"/proc/self/fd/{handle}/socket")
        finally:
            os.close(handle)
        self._socket.listen()
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                caller, _ = self._socket.accept()
                self.calls += 1
                caller.close()


def offer_daemon(node: Node) -> None:
    """Offer a daemon that would build, and tell Nix to use it."""
    daemon = FakeDaemon(node)
    node.memory["daemon"] = daemon
    node.environment |= daemon.environment


def daemon_was_not_called(node: Node, result: Result) -> str | None:
    """Nobody may have talked to the daemon, and everything must have been built all the same."""
    daemon = node.memory["daemon"]
    if isinstance(daemon, FakeDaemon) and daemon.calls:
        return f"the daemon was called {daemon.calls} times"
    return all_were_built(node, result)


def differ_each_time(node: Node) -> None:
    """Run a release in which both outputs of one package differ with every build, unknown to the register."""
    second = node.lab.second
    server = node.lab.serve_copy(node, second.site)
    node.reinstall(second.release, server.url)
    node.attacked = [node.path("editor-9"), node.path("editor-9-doc")]


def lie(node: Node) -> None:
    """Run a release whose build machine signed a back door that its source does not contain."""
    lying = node.lab.lying
    server = node.lab.serve_copy(node, lying.site)
    node.reinstall(lying.release, server.url)
    node.attacked = [node.path("publisher-1.4")]


def let_register_expire(node: Node) -> None:
    """Leave an old excuse in the register of unreproducible paths."""
    node.write_policy(register_expires="2020-01-01")


ATTACKS = (
    Attack(
        "lying-build-machine",
        "Build machine that lies",
        "broke into CI: it built, signed and published bytes that its own source does not make",
        lie,
        frozenset({"EV501"}),
        level="rebuild",
    ),
    Attack(
        "two-outputs-differ",
        "Non-deterministic second output",
        "hid behind a package of which both outputs differ with every build",
        differ_each_time,
        frozenset({"EV501"}),
        level="rebuild",
    ),
    Attack(
        "expired-register",
        "Expired excuse",
        "relies on an entry in the register of unreproducible paths that nobody renewed",
        let_register_expire,
        frozenset({"EV504"}),
        level="rebuild",
        on_store=False,
    ),
    Attack(
        "offering-cache",
        "Cache that offers what is under test",
        "offers every output under test, so that a rebuild could be a download",
        offer_outputs,
        frozenset(),
        level="rebuild",
        verdict="passed",
        on_store=False,
        holds=all_were_built,
    ),
    Attack(
        "daemon-in-reach",
        "A daemon in reach",
        "runs a daemon of their own that would build anything into the store under test",
        offer_daemon,
        frozenset(),
        level="rebuild",
        verdict="passed",
        on_store=False,
        holds=daemon_was_not_called,
    ),
)
