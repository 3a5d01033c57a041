"""`ec-verify explain`: why one store path has the verdict it has."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from ec_closure.errors import UsageError
from ec_closure.store_db import StoreDatabase
from ec_verify import trust as trusts
from ec_verify.commands.options import Common, Trust, logical
from ec_verify.commands.status import last_run
from ec_verify.observe import running
from ec_verify.scan.metadata import Owner
from ec_verify.scan.path import PathTask, look
from ec_verify.state import State
from ec_verify.text import one_line, printable

_INDENT = "\n" + " " * 19


def explain(path: str, /, *, common: Common = Common(), trust: Trust = Trust()) -> int:
    """Show everything known about one store path: signed, registered, on disk, and at the last run.

    Parameters
    ----------
    path: str
        A store path, or a link that leads to one.
    """
    settings = common.settings()
    location = settings.config.location
    wanted = running.store_path_behind(location, logical(location, path))
    if wanted is None:
        raise UsageError(
            f"{path} leads to no store path of {location.store_dir}",
            hint="name a store path, or --root and --store-dir",
        )
    seen = running.observe(location, settings.config.system)
    established = trusts.establish(
        settings.config,
        seen.current,
        seen.generations,
        time=trust.reference_time(),
        offline=trust.offline or trust.manifest is None,
        given=trust.manifest_file(),
    )
    facts: dict[str, Any] = {"path": wanted}
    record, references = None, None
    if established.problems:
        facts["trust"] = {one.code: one.message for one in established.problems}
    for manifest in (established.manifest, *established.others):
        listed = (*manifest.paths, *manifest.contents) if manifest else ()
        record = next((one for one in listed if one.path == wanted), None)
        if record is not None and manifest is not None:
            references = manifest.references_of(record)
            facts["signed"] = {
                "release": manifest.release.tag,
                "narHash": record.nar_hash,
                "narSize": record.nar_size,
                "origin": record.origin + (f" ({record.cache})" if record.cache else ""),
                "deriver": record.deriver,
                "references": list(references),
            }
            break
    with StoreDatabase.open(location.state, store_dir=location.store_dir) as database:
        row = database.path_info(wanted)
    if row is not None:
        facts["registered"] = {
            "narHash": row.nar_hash.sri,
            "narSize": row.nar_size,
            "deriver": row.deriver,
            "contentAddress": row.ca,
            "signatures": list(row.signatures),
            "references": list(row.references),
        }
    ca = record.ca if record is not None else row.ca if row is not None else None
    if references is None:
        references = row.references if row is not None else ()
    observed = look(
        PathTask(
            path=wanted,
            physical=str(location.physical(wanted)),
            store_dir=location.store_dir,
            ca=ca,
            references=references,
            owner=Owner.of(location.store.stat()),
        )
    )
    facts["onDisk"] = {
        "narHash": observed.nar_hash,
        "narSize": observed.nar_size,
        "problem": observed.detail or None,
        "deservedPath": observed.deserved,
        "metadata": [f"{printable(one.relative) or '.'}: {one.detail}" for one in observed.anomalies],
    }
    last = last_run(State(settings.config.state))
    if last is not None:
        facts["lastRun"] = {
            "verdict": last.paths.get(wanted, "not in the manifest"),
            "reason": last.reasons.get(wanted),
            "findings": [f"{one.code} {one.message}" for one in last.findings if one.path == wanted],
        }
    _print(facts, as_json=common.json)
    return 0


def _print(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(facts), indent=2).decode() + "\n")
        return
    for title, value in facts.items():
        if not isinstance(value, dict):
            sys.stdout.write(f"{title}: {value}\n")
            continue
        sys.stdout.write(f"{title}:\n")
        for name, inner in value.items():
            shown = [printable(one) for one in inner] or ["none"] if isinstance(inner, list) else [_line(inner)]
            sys.stdout.write(f"  {name + ':':16} {_INDENT.join(shown)}\n")


def _line(value: Any) -> str:
    return "-" if value is None else one_line(str(value))
