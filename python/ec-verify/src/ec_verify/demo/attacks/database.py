"""Attacks on the store database alone, whose rows Nix and its tools believe."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from ec_verify.demo.attacks.attack import Attack
from ec_verify.demo.attacks.entries import EVIL, add_entry
from ec_verify.demo.store import Store

if TYPE_CHECKING:
    from ec_verify.demo.node import Node

_PUBLISHER, _RUNTIME = "publisher-1.4", "runtime-2.40"


def _execute(node: Node, statement: str, *values: object) -> None:
    with Store(node.root).database() as database:
        database.execute(statement, values)


def dangle(node: Node) -> None:
    """Let a reference of the publisher lead to a row that does not exist."""
    path = node.path(_PUBLISHER)
    _execute(node, "INSERT INTO Refs (referrer, reference) SELECT id, 987654 FROM ValidPaths WHERE path = ?", path)
    node.attacked = [path]


def drop_row(node: Node) -> None:
    """Make the database forget the editor's documentation, whose bytes stay."""
    path = node.path("editor-9-doc")
    _execute(node, "DELETE FROM Refs WHERE reference = (SELECT id FROM ValidPaths WHERE path = ?)", path)
    _execute(node, "DELETE FROM ValidPaths WHERE path = ?", path)
    node.attacked = [path]


def forge_signature(node: Node) -> None:
    """Register a program with a signature in the name of the cache, which the cache never made."""
    add_entry(node)
    store = Store(node.root)
    store.register(EVIL, (node.path(_RUNTIME),), ultimate=False)
    forged = f"{node.lab.ci.cache_key.name}:{base64.b64encode(bytes(64)).decode()}"
    _execute(node, "UPDATE ValidPaths SET sigs = ? WHERE path = ?", forged, EVIL)


def malform_signature(node: Node) -> None:
    """Put text that is no signature beside those of the publisher."""
    path = node.path(_PUBLISHER)
    _execute(node, "UPDATE ValidPaths SET sigs = sigs || ' cache.invalid-1:c2hvcnQ=' WHERE path = ?", path)
    node.attacked = [path]


def sign_again(node: Node) -> None:
    """Let a key that nobody here knows sign the publisher as well, as `nix store sign` does."""
    secret = node.directory / "stranger.secret"
    run = node.lab.programs.run
    key = run(["nix", "key", "generate-secret", "--key-name", "stranger.invalid-1"]).stdout
    secret.touch(0o600)
    secret.write_text(key)
    run(["nix", "store", "sign", "--store", node.root, "--key-file", secret, node.path(_PUBLISHER)])


def forge_ultimate(node: Node) -> None:
    """Mark a program that came from a cache as built here: Nix then asks for no signature."""
    path = node.path(_RUNTIME)
    _execute(node, "UPDATE ValidPaths SET ultimate = 1 WHERE path = ?", path)
    node.attacked = [path]


def forge_ultimate_source(node: Node) -> None:
    """Mark the embedded flake, a source, as built here."""
    path = node.source
    _execute(node, "UPDATE ValidPaths SET ultimate = 1 WHERE path = ?", path)
    node.attacked = [path]


def forge_deriver(node: Node) -> None:
    """Let the database say that the publisher was made by something else."""
    path = node.path(_PUBLISHER)
    _execute(node, "UPDATE ValidPaths SET deriver = ? WHERE path = ?", f"{EVIL}.drv", path)
    node.attacked = [path]


def forge_address(node: Node) -> None:
    """Let the database call the publisher content-addressed: Nix then asks for no signature."""
    path = node.path(_PUBLISHER)
    _execute(node, "UPDATE ValidPaths SET ca = 'fixed:r:sha256:' || substr(?, 1, 52) WHERE path = ?", "0" * 52, path)
    node.attacked = [path]


def plant_trigger(node: Node) -> None:
    """Let the database itself mark all that is ever registered as built here."""
    _execute(
        node,
        "CREATE TRIGGER DeleteSelfReferences AFTER INSERT ON ValidPaths "
        "BEGIN UPDATE ValidPaths SET ultimate = 1 WHERE id = new.id; END",
    )


def analyse(node: Node) -> None:
    """Let SQLite gather statistics and tidy up, as administrators do: it makes tables of its own."""
    with Store(node.root).database() as database:
        database.execute("ANALYZE")


ATTACKS = (
    Attack(
        "dangling-reference",
        "Reference to a row that is not there",
        "let a reference of the publisher lead to nothing",
        dangle,
        frozenset({"EV215"}),
    ),
    Attack(
        "dropped-row",
        "Row dropped from the database",
        "made the database forget a path, which the next garbage collection then deletes",
        drop_row,
        frozenset({"EV212"}),
    ),
    Attack(
        "forged-signature",
        "Forged signature in the database",
        "registered a program of their own with a signature that the cache never made",
        forge_signature,
        frozenset({"EV216"}),
    ),
    Attack(
        "malformed-signature",
        "Malformed signature in the database",
        "put text that is no signature beside the publisher's signatures",
        malform_signature,
        frozenset({"EV216"}),
        verdict="passed",
    ),
    Attack(
        "stranger-signature",
        "One more signature",
        "signed the publisher with a key that nobody here knows",
        sign_again,
        frozenset(),
        verdict="passed",
    ),
    Attack(
        "forged-ultimate",
        "Cached path marked as built here",
        "marked a program from a cache as built here, so that Nix asks for no signature",
        forge_ultimate,
        frozenset({"EV217"}),
        verdict="passed",
    ),
    Attack(
        "forged-ultimate-source",
        "Source marked as built here",
        "marked the embedded flake as built here",
        forge_ultimate_source,
        frozenset({"EV217"}),
        verdict="passed",
    ),
    Attack(
        "forged-deriver",
        "Forged deriver",
        "made the database say that something else made the publisher",
        forge_deriver,
        frozenset({"EV217"}),
        verdict="passed",
    ),
    Attack(
        "forged-address",
        "Forged content address",
        "made the database call the publisher content-addressed, so that Nix asks for no signature",
        forge_address,
        frozenset({"EV210"}),
    ),
    Attack(
        "hidden-trigger",
        "Hidden trigger in the database",
        "planted a trigger that marks whatever is registered as built here",
        plant_trigger,
        frozenset({"EV215"}),
    ),
    Attack(
        "analysed-database",
        "Statistics in the database",
        "let SQLite gather statistics, as administrators do",
        analyse,
        frozenset(),
        verdict="passed",
    ),
)
