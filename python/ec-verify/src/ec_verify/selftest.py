"""Step 0: tamper with something on purpose, in a scratch copy, and see whether it is noticed.

A verifier that checks nothing is green for ever. So before each run a planted tree is scanned and
judged by the very code that judges the store: whole it must match, with one flipped byte and a
set-user-ID bit it must not.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ec_closure.errors import EcError
from ec_closure.hashes import Hash
from ec_closure.manifest import Builder, Manifest, PathRecord, Release, Source, System
from ec_closure.policy import Policy
from ec_closure.store_db import PathInfo
from ec_verify.judge import Case, judge
from ec_verify.model import Observation, TrustOutcome
from ec_verify.observe.running import Running
from ec_verify.scan.metadata import Owner
from ec_verify.scan.path import PathObservation, PathTask, look

if TYPE_CHECKING:
    from collections.abc import Callable

    from ec_verify.judge import Judgement

_STORE = "/nix/store"
_PATH = f"{_STORE}/{'0' * 32}-planted"


def self_test(directory: Path | None = None) -> str | None:
    """Return None when every planted tamper was seen, else what was not. Never touches the store."""
    try:
        with tempfile.TemporaryDirectory(prefix="ec-verify-self-test-", dir=directory) as name:
            return _try_all(Path(name))
    except (EcError, OSError) as error:
        return f"the self-test could not be done: {error}"


def _try_all(directory: Path) -> str | None:
    tree = directory / "planted"
    tree.mkdir()
    file = tree / "program"
    file.write_bytes(b"as it was signed\n")
    _canonical(file, 0o555)
    _canonical(tree, 0o555)
    signed = _look(tree)
    if signed.nar_hash is None:
        return f"the planted tree could not be read: {signed.detail}"
    if (found := _verdict(signed, _look(tree))) != ("passed", set()):
        return f"an untouched tree was judged {found[0]} {sorted(found[1])}"
    tampers: tuple[tuple[str, Callable[[Path], str]], ...] = (
        ("a flipped byte", _flip),
        ("a set-user-ID bit", _elevate),
    )
    for what, apply in tampers:
        code = apply(file)
        verdict, codes = _verdict(signed, _look(tree))
        if verdict != "failed" or code not in codes:
            return f"{what} was not seen: {verdict} {sorted(codes)}"
    return None


def _canonical(path: Path, mode: int) -> None:
    path.chmod(mode)
    os.utime(path, (1, 1))


def _flip(file: Path) -> str:
    """Alter a byte and return the code of the finding."""
    file.chmod(0o755)
    data = bytearray(file.read_bytes())
    data[3] ^= 1
    file.write_bytes(data)
    _canonical(file, 0o555)
    return "EV201"


def _elevate(file: Path) -> str:
    """Set the bit and return the code of the finding."""
    try:
        file.chmod(0o4555)
    except PermissionError:
        # A unit with RestrictSUIDSGID= may not, nor may who broke into it: another mode that Nix does not make.
        file.chmod(0o755)
        return "EV203"
    return "EV206"


def _look(tree: Path) -> PathObservation:
    owner = Owner(os.geteuid(), (tree.stat().st_gid,))
    return look(PathTask(path=_PATH, physical=str(tree), store_dir=_STORE, owner=owner))


def _verdict(signed: PathObservation, seen: PathObservation) -> tuple[str, set[str]]:
    judgement = _judge(signed, seen)
    return judgement.verdict, {finding.code for finding in judgement.findings}


def _judge(signed: PathObservation, seen: PathObservation) -> Judgement:
    nar_hash = signed.nar_hash or ""
    record = PathRecord(
        path=_PATH, nar_hash=nar_hash, nar_size=signed.nar_size, deriver=f"{_PATH}.drv", output="out", origin="built"
    )
    manifest = Manifest(
        release=Release(tag="self-test", version=1, issued=0),
        source=Source(nar_hash=nar_hash, store_path=_PATH),
        system=System(name="planted", attr="planted", platform="any", drv_path=f"{_PATH}.drv", out_path=_PATH),
        builder=Builder(nix="none", sandbox=True, platform="any"),
        paths=(record,),
    )
    row = PathInfo(
        path=_PATH,
        nar_hash=Hash.parse(nar_hash),
        nar_size=signed.nar_size,
        references=(),
        deriver=None,
        ultimate=False,
        signatures=(),
        ca=None,
        registration_time=0,
    )
    observation = Observation(
        running=Running(current=_PATH, booted=_PATH, profile=_PATH),
        mounts=(),
        rows={_PATH: row},
        entries=(),
        paths={_PATH: seen},
    )
    return judge(
        Case(
            level="bytes",
            policy=Policy(level="bytes"),
            time=0,
            store_dir=_STORE,
            trust=TrustOutcome(manifest=manifest),
            observation=observation,
        )
    )
