"""`ec-verify demo`: build, sign, publish, verify and attack a small appliance."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ec_closure.errors import UsageError
from ec_verify.demo import programs, table
from ec_verify.demo.attacks import ATTACKS, BY_NAME
from ec_verify.demo.errors import DemoError
from ec_verify.demo.screen import Screen
from ec_verify.demo.store import remove
from ec_verify.demo.story import TOLD, tell
from ec_verify.progress import choose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_verify.demo.attacks.attack import Attack


def demo(
    *,
    keep: Annotated[Path | None, Parameter(help="Keep everything in this directory, which must be empty.")] = None,
    table_file: Annotated[
        Path | None,
        Parameter(
            name="--table", help="Tell no story: measure every attack, and write a table of all tools to this file."
        ),
    ] = None,
    only: Annotated[list[str] | None, Parameter(help="With --table: this attack alone; may be repeated.")] = None,
) -> int:
    """Build, sign, publish, verify and attack a small appliance on real Nix, below one directory.

    Exit code 0 only when every attack was answered rightly and the untouched node passed.
    """
    if only and table_file is None:
        raise UsageError("--only goes with --table")
    chosen = _attacks(only)
    root = _rights()
    if table_file is not None:
        return _measure(table_file, chosen, keep, root=root)
    with _base(keep) as base:
        screen = Screen(base)
        well = tell(base, screen, root=root)
        if keep is not None:
            screen.kept(TOLD)
        return 0 if well else 1


@contextmanager
def _base(keep: Path | None) -> Iterator[Path]:
    """Give a directory to work in; it is removed afterwards, unless it is the one to *keep*."""
    if keep is not None:
        base = keep.absolute()
        if base.exists() and (not base.is_dir() or any(base.iterdir())):
            raise UsageError("is not an empty directory", place=str(base))
        base.mkdir(parents=True, exist_ok=True)
        yield base
        return
    base = Path(tempfile.mkdtemp(prefix="ec-demo-")).resolve()
    try:
        yield base
    finally:
        remove(base)


def _attacks(only: list[str] | None) -> tuple[Attack, ...]:
    if not only:
        return ATTACKS
    if unknown := [name for name in only if name not in BY_NAME]:
        raise UsageError(f"no attack is called {unknown[0]!r}", hint=f"there are: {', '.join(BY_NAME)}")
    return tuple(BY_NAME[name] for name in only)


def _measure(file: Path, attacks: tuple[Attack, ...], keep: Path | None, *, root: bool) -> int:
    if not root:
        raise UsageError("--table needs root", hint="some attacks do, and a table without them would claim too much")
    with _base(keep) as base:
        measured = table.measure(base, attacks, choose(quiet=False))
    file.write_text(table.render(measured), encoding="utf-8")
    for told in measured.wrong:
        sys.stdout.write(f"WRONG: {told.attack.name}: {'; '.join(told.complaints)}\n")
    sys.stdout.write(f"{len(attacks)} attacks and harmless changes, {len(measured.wrong)} answered wrongly: {file}\n")
    return 1 if measured.wrong else 0


def _rights() -> bool:
    """Return whether we are root. Raises `DemoError` when neither root nor namespaces of a user are to be had."""
    programs.find_all()
    if os.geteuid() == 0:
        return True
    tried = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "--net", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode != 0:
        raise DemoError(
            f"neither root nor allowed to make user namespaces: {' '.join(tried.stderr.split())}",
            hint="run it as root, or allow user namespaces: kernel.unprivileged_userns_clone=1, "
            "user.max_user_namespaces>0, kernel.apparmor_restrict_unprivileged_userns=0",
        )
    return False
