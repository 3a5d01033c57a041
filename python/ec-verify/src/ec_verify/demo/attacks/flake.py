"""Attacks by what a signed flake says: it wants to build, to fetch, to look around, or never to end.

Those that a build machine would build are built by one; those that it would refuse are signed all the same, as a
publisher does who does not look.
"""

from __future__ import annotations

import shutil
from dataclasses import replace as with_changes
from typing import TYPE_CHECKING

import msgspec

from ec_closure import manifest as manifests
from ec_closure.manifest import PathRecord
from ec_closure.nar.hash import hash_path
from ec_verify.demo.attacks.attack import Attack, says
from ec_verify.demo.attacks.surroundings import hostile_conf, no_witness, nothing_fired

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ec_verify.demo.node import Node

_OUTPUTS = "outputs = { self, channels }:"
_SECONDS = 2
_MEMORY = 512
# No number of one loop is large, none of the values is kept, and no call is deep: nothing but the time runs out.
_ENDLESS = (
    "let l = builtins.genList (x: x) 100000; loop = f: builtins.foldl' (a: _: f a) 0 l; "
    "in loop (_: loop (_: loop (n: n + 1)))"
)
_GROWING = "builtins.genericClosure { startSet = [ { key = 0; } ]; operator = i: [ { key = i.key + 1; } ]; }"


def run_variant(node: Node, edit: Callable[[Path], None]) -> None:
    """Run a release of the appliance that a build machine made after *edit*."""
    published = node.lab.variant(node.name, edit)
    server = node.lab.serve_copy(node, published.site)
    node.reinstall(published.release, server.url)
    node.memory["url"] = server.url


def carry(node: Node, edit: Callable[[Path], None], *, source: dict[str, int] | None = None) -> None:
    """Carry a flake, changed by *edit*, that the publisher signed without evaluating it; *source* configures us."""
    run, manifest = node.lab.programs.run, node.release.manifest
    tree = node.directory / "carried" / "source"
    shutil.copytree(node.physical(node.source), tree, symlinks=True)
    for entry in (tree, *tree.rglob("*")):
        if not entry.is_symlink():
            entry.chmod(entry.stat().st_mode | 0o200)
    edit(tree)
    path = run(["nix-store", "--store", node.root, "--add", tree]).stdout.strip()
    found = hash_path(node.physical(path))
    record = PathRecord(
        path=path,
        nar_hash=found.hash.sri,
        nar_size=found.size,
        ca=f"fixed:r:{found.hash.nix32}",
        origin="copied",
    )
    file = node.directory / node.release.file.name
    changed = msgspec.structs.replace(
        manifest,
        release=msgspec.structs.replace(manifest.release, tag="boot-v2", version=2),
        source=msgspec.structs.replace(manifest.source, nar_hash=found.hash.sri, store_path=path),
        contents=(record,),
    )
    file.write_bytes(manifests.encode(changed))
    server = node.lab.serve_copy(node)
    # The verifier is told where it lies: the link in /etc is the running system's, and another one is a finding.
    node.configure(server.url, source={"flake": path, **(source or {})})
    keys = node.lab.ci.keys / "release"
    run(
        [
            *("ec-release", "publish", "--directory", server.directory / "releases", "--keys", keys),
            *("--tag", "boot-v2", "--version", "2", "--closure", file),
        ]
    )
    node.release = with_changes(node.release, manifest=changed, file=file)


def insert(tree: Path, expression: str) -> None:
    """Let the flake demand the value of *expression* before anything else."""
    edit(tree / "flake.nix", _OUTPUTS, f"{_OUTPUTS} builtins.seq ({expression}) (")
    file = tree / "flake.nix"
    head, _, tail = file.read_text().rpartition("};\n}")
    file.write_text(f"{head}}});\n}}{tail}")


def edit(file: Path, old: str, new: str) -> None:
    """Replace *old*, which must be there."""
    text = file.read_text()
    if old not in text:
        raise LookupError(f"{old!r} is not in {file.name}")
    file.write_text(text.replace(old, new))


def set_configuration(node: Node) -> None:
    """Let the flake's nixConfig say what the node's nix.conf could."""
    pairs = dict(line.partition(" = ")[::2] for line in hostile_conf(node).splitlines())
    said = "".join(f'    {name} = "{value}";\n' for name, value in pairs.items())
    run_variant(
        node, lambda tree: edit(tree / "flake.nix", "  # A locked", f"  nixConfig = {{\n{said}  }};\n  # A locked")
    )


def look_around(node: Node) -> None:
    """Let the system's command line depend on a variable, and set that variable where the verifier runs."""
    run_variant(
        node,
        lambda tree: edit(
            tree / "parts/default.nix", 'params = "quiet"', 'params = "quiet ${builtins.getEnv "EC_EVIL"}"'
        ),
    )
    node.environment["EC_EVIL"] = "init=/evil"


def pin_elsewhere(node: Node) -> None:
    """Let lock and flake name a directory of this machine, where other bytes lie than the lock's hash demands."""
    evil = node.directory / "elsewhere"
    evil.mkdir()
    (evil / "channels.nix").write_text("[ ]\n")

    def repoint(tree: Path) -> None:
        for name in ("flake.nix", "flake.lock"):
            edit(tree / name, node.locked_input, str(evil))

    run_variant(node, repoint)


def _needs_build(tree: Path) -> None:
    system = 'builtins.head (builtins.split "\\n" (builtins.readFile ./platform))'
    derivation = (
        f'derivation {{ name = "list"; system = {system}; builder = "/bin/sh"; args = [ "-c" "echo 1 > $out" ]; }}'
    )
    insert(tree, f"builtins.readFile ({derivation})")


def _needs_network(tree: Path) -> None:
    digest = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    insert(tree, f'builtins.readDir (fetchTarball {{ url = "http://127.0.0.1:9/list.tar.gz"; sha256 = "{digest}"; }})')


def _lacks_hash(tree: Path) -> None:
    insert(tree, 'builtins.readDir (fetchTarball "http://127.0.0.1:9/list.tar.gz")')


def _lacks_lock(tree: Path) -> None:
    edit(
        tree / "flake.nix",
        "  inputs.channels",
        '  inputs.more.url = "http://127.0.0.1:9/more.tar.gz";\n  inputs.channels',
    )
    edit(tree / "flake.nix", "{ self, channels }", "{ self, channels, more }")


def _lacks_pin(tree: Path) -> None:
    edit(tree / "flake.lock", '        "narHash": "', '        "rev": "')


def _floats(tree: Path) -> None:
    floating = '__contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"'
    insert(tree, f'(derivation {{ name = "floating"; system = "any"; builder = "/bin/sh"; {floating}; }}).drvPath')


def _reads_outside(tree: Path) -> None:
    (tree / "outside").symlink_to("/etc/passwd")
    insert(tree, "builtins.readFile ./outside")


def _signed(name: str, title: str, story: str, change: Callable[[Path], None], code: str, *words: str) -> Attack:
    """Return an attack by a flake that cannot be evaluated here, so that nothing can be proven."""
    return Attack(
        name,
        title,
        story,
        lambda node: carry(node, change),
        frozenset({code}),
        level="source",
        verdict="undecided",
        on_store=False,
        holds=says(code, *words),
    )


ATTACKS = (
    Attack(
        "nix-config",
        "nixConfig in the flake",
        "let the flake itself ask for hooks, keys, caches, builders and no sandbox",
        set_configuration,
        frozenset(),
        level="rebuild",
        verdict="passed",
        on_store=False,
        holds=nothing_fired,
    ),
    Attack(
        "environment-reader",
        "A flake that reads the environment",
        "let the system depend on a variable, and set it where the verifier runs",
        look_around,
        frozenset(),
        level="source",
        verdict="passed",
        on_store=False,
        holds=no_witness,
    ),
    Attack(
        "pinned-elsewhere",
        "An input pinned by a path of some machine",
        "let the lock name a directory of this machine, and put other bytes there than its hash demands",
        pin_elsewhere,
        frozenset(),
        level="source",
        verdict="passed",
        on_store=False,
    ),
    _signed(
        "needs-build",
        "A flake that builds while it is evaluated",
        "signed a flake that imports from a derivation: what it evaluates to is whatever that builder makes",
        _needs_build,
        "EV406",
    ),
    _signed(
        "needs-network",
        "A flake that needs the network",
        "signed a flake that fetches, by a hash, what is not on the node",
        _needs_network,
        "EV407",
    ),
    _signed(
        "fetches-unpinned",
        "A fetcher without a hash",
        "signed a flake that fetches whatever a server has today",
        _lacks_hash,
        "EV407",
        "fetchTarball",
    ),
    _signed(
        "unlocked-input",
        "An input that no lock knows",
        "signed a flake with an input that is not in its lock",
        _lacks_lock,
        "EV407",
    ),
    _signed(
        "unpinned-input",
        "A lock without a hash",
        "signed a lock that names an input and not its hash",
        _lacks_pin,
        "EV407",
        "narHash",
    ),
    _signed(
        "clock-reader",
        "A flake that reads the clock",
        "signed a flake that asks for the time",
        lambda tree: insert(tree, "builtins.currentTime"),
        "EV405",
        "currentTime",
    ),
    _signed(
        "escaping-link",
        "A link out of the flake",
        "signed a flake with a link to a file of the machine, which it reads",
        _reads_outside,
        "EV405",
        "forbidden",
    ),
    _signed(
        "floating-content-address",
        "Outputs named by their content",
        "signed a flake whose outputs have no name before they are built, and perhaps another one each time",
        _floats,
        "EV409",
        "ca-derivations",
    ),
    Attack(
        "endless-evaluation",
        "An evaluation that never ends",
        "signed a flake that counts for ever",
        lambda node: carry(node, lambda tree: insert(tree, _ENDLESS), source={"timeout": _SECONDS}),
        frozenset({"EV408"}),
        level="source",
        verdict="undecided",
        on_store=False,
        holds=says("EV408", f"{_SECONDS} seconds"),
    ),
    Attack(
        "growing-evaluation",
        "An evaluation that eats the memory",
        "signed a flake that makes values for ever",
        lambda node: carry(node, lambda tree: insert(tree, _GROWING), source={"memory": _MEMORY}),
        frozenset({"EV408"}),
        level="source",
        verdict="undecided",
        on_store=False,
        holds=says("EV408", "memory", f"{_MEMORY} MiB"),
    ),
)
