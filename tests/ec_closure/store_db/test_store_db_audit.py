"""What a database holds beside its rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from ec_closure.store_db import StoreDatabase
from ec_closure.store_db_audit import MAX_FLAWS, Audit, Flaw

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import NixStore
    from tests.ec_closure.store_db.conftest import State

X, Y = "/nix/store/" + "x" * 32 + "-x", "/nix/store/" + "y" * 32 + "-y"
# As Nix lays them out, before and after 2.20, and with content-addressed derivations.
NIX_OWN = """
    CREATE TRIGGER DeleteSelfRefs before delete on ValidPaths
      begin
        delete from Refs where referrer = old.id and reference = old.id;
      end;
    CREATE INDEX IndexReference on Refs(reference);
    CREATE TABLE Realisations (
        id integer primary key autoincrement not null, drvPath text not null, outputName text not null,
        outputPath integer not null, signatures text
    );
    CREATE TABLE RealisationsRefs (referrer integer not null, realisationReference integer);
    CREATE TRIGGER DeleteSelfRefsViaRealisations before delete on ValidPaths
      begin
        delete from RealisationsRefs where realisationReference in (
          select id from Realisations where outputPath = old.id
        );
      end;
    CREATE TABLE BuildTraceV3 (id integer primary key autoincrement not null, drvPath text, outputPath text);
    CREATE INDEX IndexBuildTraceV3 on BuildTraceV3(drvPath);
    ANALYZE;
"""


def audit(state: State) -> Audit:
    """Open the database and audit it."""
    with state.open() as database:
        return database.audit()


def test_what_nix_makes_is_no_flaw(state: State) -> None:
    """Triggers, tables and indexes of every release, and the statistics that SQLite keeps."""
    state.add("x")
    state.add("y", "x")
    state.writer.executescript(NIX_OWN)

    assert Audit() == audit(state)


@pytest.mark.nix
def test_database_of_this_nix_has_no_flaw(new_nix_store: Callable[[], NixStore]) -> None:
    """Whatever its release: with the tables for content-addressed derivations, and after a build and a collection."""
    store = new_nix_store()
    expression = (
        'derivation { name = "x"; system = builtins.currentSystem; builder = "/bin/sh"; args = ["-c" "echo > $out"];'
    )
    (out,) = store.build(expression + " }")
    store.build(expression + ' __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; }')
    (drv,) = store.instantiate(expression + " }")
    with StoreDatabase.open(store.state_dir, store_dir=store.store_dir) as database:
        found = database.audit()
    store.run("nix-store", "--gc")
    with StoreDatabase.open(store.state_dir, store_dir=store.store_dir) as database:
        after = database.audit()

    assert ((), out) == (found.flaws, found.outputs[f"{drv}!out"])
    assert Audit() == after


@pytest.mark.parametrize(
    ("statement", "kind", "named"),
    [
        ("CREATE TRIGGER evil AFTER INSERT ON ValidPaths BEGIN DELETE FROM Refs; END", "program", "evil"),
        ("CREATE TRIGGER DeleteSelfRefs BEFORE DELETE ON ValidPaths BEGIN SELECT 1; END", "program", "DeleteSelfRefs"),
        (
            "CREATE TRIGGER DeleteSelfRefs BEFORE DELETE ON ValidPaths BEGIN DELETE FROM Refs WHERE referrer = old.id "
            "AND reference = old.id; DELETE FROM ValidPaths; END",
            "program",
            "DeleteSelfRefs",
        ),
        ("CREATE VIEW evil AS SELECT 1", "program", "evil"),
        ("CREATE VIRTUAL TABLE evil USING fts5(x)", "program", "evil"),
        ("CREATE TABLE evil (x)", "stranger", "evil"),
        ("CREATE INDEX evil ON Refs (referrer, reference)", "stranger", "evil"),
    ],
)
def test_what_nix_never_makes_is_a_flaw(state: State, statement: str, kind: str, named: str) -> None:
    """Also under the name of something of Nix's own, and with one statement more."""
    state.writer.execute(statement)

    assert (kind, True) in {(flaw.kind, named in flaw.message) for flaw in audit(state).flaws}


def test_reference_that_leads_nowhere_names_its_path(state: State) -> None:
    """From a row that is not there, to one that is not there, and both."""
    state.add("x")
    state.add("y")
    state.writer.executescript("INSERT INTO Refs VALUES (1, 77), (77, 2), (88, 99)")

    assert {
        Flaw("dangling", "it refers to a row that is not there", X),
        Flaw("dangling", "a row that is not there refers to it", Y),
        Flaw("dangling", "a reference leads from nowhere to nowhere"),
    } == set(audit(state).flaws)


def test_outputs_of_derivations_that_are_gone_are_counted(state: State) -> None:
    """And of realisations, under either name that their columns had."""
    state.writer.execute("INSERT INTO DerivationOutputs VALUES (7, 'out', ?)", [X])
    state.writer.execute("CREATE TABLE Realisations (drv_path, output_path)")
    state.writer.execute("INSERT INTO Realisations VALUES ('sha256:…!out', 9)")

    assert (Flaw("stray", f"2 outputs belong to no valid path, the first {X}"),) == audit(state).flaws


def test_outputs_are_told(state: State) -> None:
    """By derivation and name."""
    state.add("x")
    state.writer.execute("INSERT INTO DerivationOutputs VALUES (1, 'doc', ?)", [Y])

    assert {f"{X}!doc": Y} == audit(state).outputs


def test_row_that_an_index_hides_is_found(state: State) -> None:
    """Nix asks the index: a path that it lacks is not valid to Nix, and is to who reads the table."""
    state.add("x")
    state.add("y", "x")
    state.writer.executescript(
        "DROP INDEX IndexReferrer; CREATE INDEX IndexReferrer ON Refs(referrer) WHERE referrer > 9; "
        "PRAGMA writable_schema = on; UPDATE sqlite_master SET sql = 'CREATE INDEX IndexReferrer ON Refs(referrer)' "
        "WHERE name = 'IndexReferrer'; PRAGMA writable_schema = off;"
    )
    state.writer.close()
    with closing(sqlite3.connect(state.file)) as again:
        again.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    assert ["damaged"] == [flaw.kind for flaw in audit(state).flaws]


def test_a_thousand_flaws_are_a_few_and_a_number(state: State) -> None:
    """What somebody wrote a thousand times is told in a line."""
    state.writer.executescript("".join(f"CREATE VIEW evil{number} AS SELECT 1;" for number in range(50)))

    flaws = audit(state).flaws

    assert MAX_FLAWS + 1 == len(flaws)
    assert flaws[-1].message.startswith(f"{50 - MAX_FLAWS} more: ")


def test_values_of_another_type_do_no_harm(state: State) -> None:
    """SQLite keeps what it is given: bytes, numbers, nothing."""
    state.writer.execute("INSERT INTO ValidPaths (id, path) VALUES (1, x'ff')")
    state.writer.executescript("INSERT INTO DerivationOutputs VALUES (1, NULL, 3); INSERT INTO Refs VALUES (1, 7)")

    found = audit(state)

    assert {"b'\\xff'!None": "3"} == found.outputs
    assert (Flaw("dangling", "it refers to a row that is not there", "b'\\xff'"),) == found.flaws


def test_database_that_is_no_database_any_more_is_refused(state: State, tmp_path: Path) -> None:
    """The errors of the audit are those of every other method."""
    state.add("x")
    state.writer.close()
    data = bytearray(state.file.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    state.file.write_bytes(data)

    assert "damaged" in {flaw.kind for flaw in audit(state).flaws}
    assert tmp_path.exists()
