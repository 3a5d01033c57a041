"""`ec-verify demo`: build, sign, publish, verify and attack a small appliance."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ec_closure.errors import UsageError
from ec_verify.demo import programs
from ec_verify.demo.errors import DemoError
from ec_verify.demo.screen import Screen
from ec_verify.demo.store import remove
from ec_verify.demo.story import TOLD, tell


def demo(
    *, keep: Annotated[Path | None, Parameter(help="Keep everything in this directory, which must be empty.")] = None
) -> int:
    """Build, sign, publish, verify and attack a small appliance on real Nix, below one directory.

    Exit code 0 only when every attack was answered rightly and the untouched node passed.
    """
    root = _rights()
    if keep is not None:
        base = keep.absolute()
        if base.exists() and (not base.is_dir() or any(base.iterdir())):
            raise UsageError("is not an empty directory", place=str(base))
        base.mkdir(parents=True, exist_ok=True)
        screen = Screen(base)
        well = tell(base, screen, root=root)
        screen.kept(TOLD)
        return 0 if well else 1
    base = Path(tempfile.mkdtemp(prefix="ec-demo-")).resolve()
    try:
        return 0 if tell(base, Screen(base), root=root) else 1
    finally:
        remove(base)


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
