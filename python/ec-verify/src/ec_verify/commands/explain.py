"""`ec-verify explain`: why one store path has the verdict it has; what a code means; why two derivations differ."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from ec_closure.errors import UsageError
from ec_closure.findings import KINDS
from ec_closure.store_db import StoreDatabase
from ec_verify import trust as trusts
from ec_verify.commands.options import Common, Trust, give_way, logical
from ec_verify.commands.status import last_run
from ec_verify.explain import show
from ec_verify.explain.derivations import compare_files
from ec_verify.explain.difference import rebuilt_difference
from ec_verify.explain.explanation import Known, explanation
from ec_verify.explain.last import last_case
from ec_verify.location import StoreLocation
from ec_verify.observe import running
from ec_verify.scan.metadata import Owner
from ec_verify.scan.path import PathTask, look
from ec_verify.state import State

_CODE = re.compile(r"EV[0-9]{3}")


def explain(
    what: str | None = None,
    /,
    *,
    drv: Annotated[
        tuple[Path, Path] | None,
        Parameter(help="Two .drv files: tell why they differ, down to the root causes.", negative=()),
    ] = None,
    rebuild: Annotated[
        bool, Parameter(help="Build the path again in a ghost store and compare, file by file.", negative=())
    ] = False,
    diffoscope: Annotated[
        bool, Parameter(help="Also let diffoscope compare what differs, if it is installed.", negative=())
    ] = False,
    common: Common = Common(),
    trust: Trust = Trust(),
) -> int:
    """Tell why a store path has its verdict: signed, registered, on disk, rebuilt and evaluated, side by side.

    Where the bytes are not those that CI signed, they are compared file by file, if a cache of `nix.substituters` has
    the signed ones; --offline leaves that out. Ends with what to do next.

    Parameters
    ----------
    what: str
        A store path, anything inside one, a link that leads to one (such as `result`), or a finding's code (EV201).
    """
    settings = common.settings()
    location = settings.config.location
    if drv is not None:
        if what is not None:
            raise UsageError("--drv goes without a path", hint="name the two derivations behind --drv")
        show.derivations(compare_files(location, drv), as_json=common.json)
        return 0
    if what is None:
        raise UsageError("what is to be explained?", hint="name a store path, a finding's code, or --drv A B")
    if _CODE.fullmatch(what):
        if what not in KINDS:
            raise UsageError(f"no finding has the code {what}", hint="docs/findings.md lists every code")
        show.kind(KINDS[what], as_json=common.json)
        return 0
    wanted = _store_path(location, what)
    seen = running.observe(location, settings.config.system)
    established = trusts.establish(
        settings.config,
        seen.current,
        seen.generations,
        time=trust.reference_time(),
        offline=trust.offline or trust.manifest is None,
        given=trust.manifest_file(),
    )
    state = State(settings.config.state)
    last = last_run(state)
    known = Known.of(wanted, established, last, last_case(state) if last is not None else None)
    with StoreDatabase.open(location.state, store_dir=location.store_dir) as database:
        row = database.path_info(wanted)
    record = known.record
    size = record.nar_size if record is not None else row.nar_size if row is not None else None
    observed = look(
        PathTask(
            path=wanted,
            physical=str(location.physical(wanted)),
            store_dir=location.store_dir,
            ca=record.ca if record is not None else row.ca if row is not None else None,
            references=known.references if record is not None else row.references if row is not None else (),
            owner=Owner.of(location.store.stat()),
            # A sparse file of terabytes would never end.
            limit=sys.maxsize if size is None else 16 * size + (64 << 20),
            doubted=size is None,
        )
    )
    found = explanation(known, row, observed, settings.config, compare=not trust.offline, diffoscope=diffoscope)
    if rebuild and record is not None:
        give_way(settings)
        again = rebuilt_difference(settings, established, seen, record, common.progress(), diffoscope=diffoscope)
        found = msgspec.structs.replace(found, rebuilt_difference=again)
    show.path(found, as_json=common.json)
    return 0


def _store_path(location: StoreLocation, what: str) -> str:
    wanted = running.store_path_behind(location, logical(location, what))
    if wanted is None:
        raise UsageError(
            f"{what} leads to no store path of {location.store_dir}",
            hint="name a store path, or --root and --store-dir",
        )
    return wanted
