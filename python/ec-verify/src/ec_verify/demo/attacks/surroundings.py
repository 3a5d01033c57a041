"""Attacks on what surrounds an evaluation and a build: variables, registries, configuration, hooks, caches of fetchers.

None may have any effect: the verifier makes the environment of every Nix that it runs from nothing. Each attack leaves
a witness behind when it does have one.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from ec_verify.demo.attacks.attack import Attack
from ec_verify.demo.attacks.rebuild import all_were_built

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.demo.node import Node, Result

_EVIL_FLAKE = '{ outputs = _: { witness = builtins.toFile "witness" "evil"; }; }\n'
_FETCHER_CACHES = {
    # Nix 2.8 to 2.24, and later ones
    "fetcher-cache-v1.sqlite": "create table Cache (input text not null, info text not null, path text not null, "
    "immutable integer not null, timestamp integer not null, primary key (input))",
    "fetcher-cache-v2.sqlite": "create table Cache (domain text not null, key text not null, value text not null, "
    "timestamp integer not null, primary key (domain, key))",
    "fetcher-cache-v3.sqlite": "create table Cache (domain text not null, key text not null, value text not null, "
    "timestamp integer not null, primary key (domain, key))",
    "fetcher-cache-v4.sqlite": "create table Cache (domain text not null, key text not null, value text not null, "
    "timestamp integer not null, primary key (domain, key))",
}


def witness(node: Node) -> Path:
    """Return the file that a hook writes when it runs."""
    return node.directory / "witness"


def no_witness(node: Node, _result: Result) -> str | None:
    """Ask that no hook ran, and that nothing was signed."""
    if witness(node).exists():
        return f"a hook ran: {witness(node).read_text().strip()}"
    return None


def nothing_fired(node: Node, result: Result) -> str | None:
    """Ask that no hook ran, and that everything was built all the same."""
    return no_witness(node, result) or all_were_built(node, result)


def hostile_conf(node: Node) -> str:
    """Return a nix.conf that runs hooks, signs, weakens the sandbox, and sends builds and questions elsewhere."""
    directory = node.directory / "hostile"
    directory.mkdir(exist_ok=True)
    hook = directory / "hook"
    hook.write_text(f"#!/bin/sh\necho \"$0 $*\" >> '{witness(node)}'\n")
    hook.chmod(0o755)
    key = directory / "secret-key"
    key.write_text(node.lab.ci.upstream_key.render())
    lines = {
        "experimental-features": "nix-command flakes",
        "post-build-hook": hook,
        "pre-build-hook": hook,
        "diff-hook": hook,
        "run-diff-hook": "true",
        "build-hook": hook,
        "builders": f"ssh://builder.invalid {node.release.manifest.builder.platform}",
        "secret-key-files": key,
        "sandbox": "false",
        "sandbox-paths": f"/bin/sh={hook} {directory}",
        "extra-sandbox-paths": directory,
        "system-features": "nothing",
        "substituters": "http://127.0.0.1:9/",
        "trusted-public-keys": node.lab.ci.upstream_key.public.render(),
        "require-sigs": "false",
        "pure-eval": "false",
        "allow-import-from-derivation": "true",
        "accept-flake-config": "true",
        "flake-registry": node.directory / "registry.json",
        "access-tokens": "127.0.0.1=stolen",
        "netrc-file": directory / "netrc",
        "timeout": "1",
        "max-jobs": "0",
    }
    return "".join(f"{name} = {value}\n" for name, value in lines.items())


def set_variables(node: Node) -> None:
    """Set every variable by which somebody could tell Nix what to do."""
    conf = hostile_conf(node)
    directory = node.directory / "hostile"
    (directory / "user.conf").write_text(conf)
    (directory / "conf").mkdir()
    (directory / "conf" / "nix.conf").write_text(conf)
    node.environment |= {
        "NIX_PATH": f"nixpkgs={directory}:channels={directory}:{directory}",
        "NIX_CONFIG": conf,
        "NIX_USER_CONF_FILES": str(directory / "user.conf"),
        "NIX_CONF_DIR": str(directory / "conf"),
        "NIX_REMOTE": f"local?root={directory}",
        "NIX_STORE_DIR": "/somewhere/else",
        "NIX_STATE_DIR": str(directory / "state"),
        "NIX_BUILD_HOOK": str(directory / "hook"),
        "NIX_CURRENT_LOAD": str(directory),
        "NIX_SSHOPTS": "-F /dev/null",
        "NIX_SECRET_KEY_FILE": str(directory / "secret-key"),
        "GIT_SSH_COMMAND": str(directory / "hook"),
        "GIT_CONFIG_GLOBAL": str(directory / "user.conf"),
    }


def configure_user(node: Node) -> None:
    """Give whoever runs the verifier a home full of configuration: nix.conf, netrc, registry."""
    home = node.directory / "home"
    config = home / ".config" / "nix"
    config.mkdir(parents=True)
    (config / "nix.conf").write_text(hostile_conf(node))
    (config / "registry.json").write_text(_registry(node))
    (home / ".netrc").write_text("default login somebody password stolen\n")
    node.environment |= {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "XDG_CONFIG_DIRS": str(config)}


def configure_node(node: Node) -> None:
    """Write the node's own nix.conf, machines and registry, and let Nix be pointed at them."""
    directory = node.root / "etc" / "nix"
    directory.mkdir(parents=True)
    (directory / "nix.conf").write_text(hostile_conf(node))
    (directory / "machines").write_text("ssh://builder.invalid\n")
    (directory / "registry.json").write_text(_registry(node))
    node.environment["NIX_CONF_DIR"] = str(directory)


def redirect_flakes(node: Node) -> None:
    """Let user, system and global registry lead the flake, its input and every name to a flake of the attacker's."""
    configure_user(node)
    (node.directory / "home" / ".config" / "nix" / "nix.conf").unlink()
    (node.directory / "registry.json").write_text(_registry(node))
    system = node.root / "etc" / "nix"
    system.mkdir(parents=True)
    (system / "registry.json").write_text(_registry(node))
    (system / "nix.conf").write_text(f"flake-registry = {node.directory / 'registry.json'}\n")
    node.environment["NIX_CONF_DIR"] = str(system)


def _registry(node: Node) -> str:
    evil = node.directory / "evil-flake"
    evil.mkdir(exist_ok=True)
    (evil / "flake.nix").write_text(_EVIL_FLAKE)
    to = {"type": "path", "path": str(evil)}
    names: list[dict[str, str]] = [{"type": "indirect", "id": name} for name in ("channels", "nixpkgs", "appliance")]
    names += [{"type": "path", "path": path} for path in (node.source, node.locked_input)]
    return json.dumps({"version": 2, "flakes": [{"from": name, "to": to, "exact": True} for name in names]})


def poison_fetchers(node: Node) -> None:
    """Let the fetchers' caches, in each form that they had, answer for the locked input with the attacker's tree."""
    node.environment |= node.home
    cache = node.directory / "home" / "cache" / "nix"
    (cache / "tarball-cache" / "objects").mkdir(parents=True)
    evil = node.path("os-release")
    locked = node.release.manifest.source.inputs["channels"]
    attributes = json.dumps({"type": "path", "path": locked.store_path, "narHash": locked.nar_hash})
    answer = json.dumps({"narHash": locked.nar_hash, "storePath": evil, "lastModified": 1})
    for name, schema in _FETCHER_CACHES.items():
        with closing(sqlite3.connect(cache / name)) as connection, connection:
            connection.execute(schema)
            if "domain" in schema:
                connection.execute("insert into Cache values ('path', ?, ?, 4102444800)", (attributes, answer))
            else:
                connection.execute("insert into Cache values (?, ?, ?, 1, 4102444800)", (attributes, answer, evil))
    node.memory["home"] = _digest(node.directory / "home")


def home_is_untouched(node: Node, _result: Result) -> str | None:
    """Ask that nobody wrote to the home: who does not write there does not read there by mistake."""
    return None if node.memory["home"] == _digest(node.directory / "home") else "the home was written to"


def _digest(directory: Path) -> str:
    files = sorted(file for file in directory.rglob("*") if file.is_file())
    return hashlib.sha256(b"".join(bytes(file) + file.read_bytes() for file in files)).hexdigest()


ATTACKS = (
    Attack(
        "hostile-variables",
        "Hostile environment",
        "set every variable that Nix listens to: NIX_PATH, NIX_CONFIG, NIX_USER_CONF_FILES, NIX_REMOTE and the rest",
        set_variables,
        frozenset(),
        level="rebuild",
        verdict="passed",
        on_store=False,
        holds=nothing_fired,
    ),
    Attack(
        "hostile-home",
        "Hostile home",
        "filled the home of whoever runs the verifier with nix.conf, netrc, access tokens and a registry",
        configure_user,
        frozenset(),
        level="rebuild",
        verdict="passed",
        on_store=False,
        holds=nothing_fired,
    ),
    Attack(
        "hostile-node-configuration",
        "Hooks, keys and builders in nix.conf",
        "put hooks, a signing key, remote builders, no sandbox and more sandbox paths into the node's nix.conf",
        configure_node,
        frozenset({"EV312"}),
        level="rebuild",
        verdict="passed",
        on_store=False,
        holds=nothing_fired,
    ),
    Attack(
        "hostile-registry",
        "Hostile flake registries",
        "led the flake and its input to a flake of their own, in the user's, the system's and the global registry",
        redirect_flakes,
        frozenset({"EV312"}),
        level="source",
        verdict="passed",
        on_store=False,
        holds=no_witness,
    ),
    Attack(
        "poisoned-fetchers",
        "Poisoned fetcher caches",
        "made the caches of Nix's fetchers, in every form they had, answer with another tree",
        poison_fetchers,
        frozenset(),
        level="source",
        verdict="passed",
        on_store=False,
        holds=home_is_untouched,
    ),
)
