"""Documents that Nix itself wrote, where there is one: what a reader must accept, and the best to start damage from."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_EXPRESSION = """
let
  build = name: more: derivation ({
    inherit name; system = builtins.currentSystem; builder = "/bin/sh";
    args = [ "-c" "echo $text > $out" ]; text = name;
  } // more);
  source = builtins.toFile "source.txt" "two\\nlines \\" and \\\\ more";
in build "top" { input = build "input" { inherit source; }; }
"""
_CONFIGURATION = "experimental-features = nix-command\nsandbox = false\nbuild-users-group =\nsubstituters =\n"


def real() -> dict[str, list[bytes]]:
    """Return what Nix wrote, by the name of the target; nothing without Nix."""
    if shutil.which("nix-build") is None:
        return {}
    with tempfile.TemporaryDirectory(prefix="ec-fuzz-nix-") as name:
        return _written(Path(name))


def _written(root: Path) -> dict[str, list[bytes]]:
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(root), "LC_ALL": "C.UTF-8", "NIX_STORE_DIR": str(root / "store"),
        "NIX_STATE_DIR": str(root / "var"), "NIX_LOG_DIR": str(root / "log"), "NIX_CONF_DIR": str(root / "etc"),
        "NIX_CONFIG": _CONFIGURATION,
    }  # fmt: skip

    def run(*argv: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(argv, env=environment, cwd=root, capture_output=True, check=True)

    built = run("nix-build", "--no-out-link", "--log-format", "internal-json", "-v", "-E", _EXPRESSION)
    top = built.stdout.decode().strip()
    run("nix", "copy", "--to", f"file://{root}/cache", top)
    return {
        "nar": [run("nix-store", "--dump", str(root / "store")).stdout, run("nix-store", "--dump", top).stdout],
        "narinfo": [_moved(file.read_bytes(), root) for file in (root / "cache").glob("*.narinfo")],
        "derivation": [_moved(file.read_bytes(), root) for file in (root / "store").glob("*.drv")],
        "events": [built.stderr[-(1 << 15) :]],
    }


def _moved(text: bytes, root: Path) -> bytes:
    return text.replace(str(root / "store").encode(), b"/nix/store")
