"""What is in a store database beside its rows: things that Nix never writes there, and rows that lead nowhere.

A trigger runs inside Nix whenever it writes, as root: one that Nix did not make can register paths or drop references
for ever. Tables and indexes do nothing by themselves, and new releases of Nix bring new ones (pitfalls P5, P35).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import sqlite3

FlawKind = Literal["program", "stranger", "dangling", "stray", "damaged"]
"""`program`: runs by itself, or makes up rows. `stranger`: a table or index that is not known here. `dangling`: a
reference from or to a row that is not there. `stray`: an output or realisation of such a row. `damaged`: what SQLite's
own check says."""

MAX_FLAWS: Final = 20
"""Of each kind; the rest is counted."""
_MAX_TEXT: Final = 4096
_MAX_NAME: Final = 200

# Nix 2.0 to 2.35, with its extension for content-addressed derivations in every form that it had.
_TABLES: Final = frozenset(
    {
        *("ValidPaths", "Refs", "DerivationOutputs", "FailedPaths"),
        *("SchemaMigrations", "Realisations", "RealisationsRefs", "BuildTraceV2", "BuildTraceV3"),
    }
)
_INDEXES: Final = frozenset(
    {
        *("IndexReferrer", "IndexReference", "IndexDerivationOutputs", "IndexRealisations", "IndexRealisationsRefs"),
        *("IndexRealisationsRefsRealisationReference", "IndexRealisationsRefsOnOutputPath"),
        *("IndexBuildTraceV2", "IndexBuildTraceV3"),
    }
)
# The whole text counts: under a known name a trigger may do anything.
_VIA_REALISATIONS: Final = (
    "create trigger deleteselfrefsviarealisations before delete on validpaths begin delete from realisationsrefs "
    "where realisationreference {} ( select id from realisations where {} = old.id ) ; end"
)
_TRIGGERS: Final = frozenset(
    {
        "create trigger deleteselfrefs before delete on validpaths begin delete from refs where referrer = old.id and "
        "reference = old.id; end",
        *(
            _VIA_REALISATIONS.format(operator, column)
            for operator in ("=", "in")
            for column in ("outputpath", "output_path")
        ),
    }
)

_OBJECTS: Final = "SELECT type, substr(name, 1, ?), tbl_name, substr(sql, 1, ?) FROM sqlite_master"
_DANGLING: Final = """
    SELECT a.path, b.path FROM Refs
    LEFT JOIN ValidPaths a ON a.id = referrer LEFT JOIN ValidPaths b ON b.id = reference
    WHERE a.id IS NULL OR b.id IS NULL
"""
_STRAY_OUTPUTS: Final = "SELECT path FROM DerivationOutputs WHERE drv NOT IN (SELECT id FROM ValidPaths)"
_STRAY_REALISATIONS: Final = "SELECT {} FROM Realisations WHERE {} NOT IN (SELECT id FROM ValidPaths)"
_OUTPUTS: Final = """
    SELECT ValidPaths.path, DerivationOutputs.id, DerivationOutputs.path
    FROM DerivationOutputs JOIN ValidPaths ON ValidPaths.id = drv
"""


@dataclass(frozen=True, slots=True)
class Flaw:
    """One kind of thing that is wrong, with what is known of it. *path* is a store path, as the database spells it."""

    kind: FlawKind
    message: str
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit showed. *outputs* maps outputs, as `output_key` spells them, to the paths that the database has."""

    flaws: tuple[Flaw, ...] = ()
    outputs: dict[str, str] = field(default_factory=dict)


def output_key(derivation: str, output: str) -> str:
    """Return an output's name as Nix spells it."""
    return f"{derivation}!{output}"


def audit(connection: sqlite3.Connection) -> Audit:
    """Audit the database behind *connection*, which is in a transaction.

    Reads every page once (7 µs a path). Raises `sqlite3.Error`. Not checked: rows of valid paths, which
    `StoreDatabase.all_infos` refuses when they are malformed; the columns and constraints of known tables, which
    `StoreDatabase.open` checks as far as anything here depends on them.
    """
    objects = connection.execute(_OBJECTS, [_MAX_NAME, _MAX_TEXT]).fetchall()
    flaws = [flaw for row in objects if (flaw := _object(*row)) is not None]
    flaws += _damage(connection)
    flaws += _dangling(connection)
    strays = [path for (path,) in connection.execute(_STRAY_OUTPUTS)]
    if ("table", "Realisations") in {(kind, name) for kind, name, _, _ in objects}:
        strays += _stray_realisations(connection)
    if strays:
        flaws.append(
            Flaw("stray", f"{len(strays)} outputs belong to no valid path, the first {_text(strays[0])}", None)
        )
    outputs = {output_key(_text(drv), _text(name)): _text(path) for drv, name, path in connection.execute(_OUTPUTS)}
    return Audit(_capped(flaws), outputs)


def _object(kind: Any, name: Any, table: Any, sql: Any) -> Flaw | None:
    named = f"the {_text(kind)} {_text(name)} on {_text(table)}"
    match kind:
        case "trigger":
            return None if _normal(sql) in _TRIGGERS else Flaw("program", f"{named} is none of Nix's")
        case "table":
            if _normal(sql).startswith("create virtual"):
                return Flaw("program", f"the table {_text(name)} is made up by a program")
            # Those of SQLite itself: nobody else may use that name.
            known = name in _TABLES or _text(name).startswith("sqlite_")
            return None if known else Flaw("stranger", f"the table {_text(name)} is not known here")
        case "index":
            # Without text it is the index of a constraint.
            return None if name in _INDEXES or sql is None else Flaw("stranger", f"{named} is not known here")
    return Flaw("program", f"{named} is none of Nix's")


def _normal(sql: Any) -> str:
    """Return *sql* in lower case with one blank between words: how Nix lays it out has changed."""
    return " ".join(_text(sql).lower().replace("if not exists ", "").replace("(", " ( ").replace(")", " ) ").split())


def _damage(connection: sqlite3.Connection) -> list[Flaw]:
    """Ask SQLite: a row that an index leaves out is there for who reads the table, and not for Nix, who asks it."""
    said = [_text(line) for (line,) in connection.execute("PRAGMA integrity_check(1)")]
    return [] if said == ["ok"] else [Flaw("damaged", f"SQLite says: {'; '.join(said)[:_MAX_NAME]}")]


def _dangling(connection: sqlite3.Connection) -> list[Flaw]:
    flaws: dict[str | None, Flaw] = {}
    for referrer, reference in connection.execute(_DANGLING):
        if referrer is not None:
            message = "it refers to a row that is not there"
        elif reference is not None:
            message = "a row that is not there refers to it"
        else:
            message = "a reference leads from nowhere to nowhere"
        path = referrer if referrer is not None else reference
        key = None if path is None else _text(path)
        flaws.setdefault(key, Flaw("dangling", message, key))
    return list(flaws.values())


def _stray_realisations(connection: sqlite3.Connection) -> list[str]:
    columns = {row[1] for row in connection.execute("PRAGMA table_info(Realisations)")}
    for path, derivation in (("outputPath", "drvPath"), ("output_path", "drv_path")):
        if {path, derivation} <= columns:
            return [_text(found) for (found,) in connection.execute(_STRAY_REALISATIONS.format(derivation, path))]
    return []


def _capped(flaws: list[Flaw]) -> tuple[Flaw, ...]:
    kept: list[Flaw] = []
    for kind in dict.fromkeys(flaw.kind for flaw in flaws):
        found = [flaw for flaw in flaws if flaw.kind == kind]
        kept += found[:MAX_FLAWS]
        if rest := found[MAX_FLAWS:]:
            kept.append(Flaw(kind, f"{len(rest)} more: {rest[0].message}", rest[0].path))
    return tuple(kept)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)[:_MAX_NAME]
