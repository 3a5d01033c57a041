"""The operators' document: its commands work as written, one after the other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[2] / "docs/trust.md"


def commands() -> list[str]:
    """Return every line that the document tells people to type."""
    # What needs a forge is run beside one: `forge/test_docs.py`.
    text = re.sub(r"^## With a Forgejo$.*?^## ", "", DOCUMENT.read_text(), flags=re.DOTALL | re.MULTILINE)
    blocks = re.findall(r"^ *```console\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]


def test_the_documents_commands_work(new_place: Any, tmp_path: Path) -> None:
    """Beginning, publishing, ceremony, rotation and recovery, in one shell."""
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/disk.img").write_bytes(b"image")
    (tmp_path / "dist/runner.closure.json.zst").write_bytes(new_place.manifest(1, tag="boot-v1"))
    lines = commands()
    assert len(lines) > 20
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    script = "\n".join(["set -eux", *lines])
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    place = type(new_place)(tmp_path, datetime.now(UTC))
    place.tree = tmp_path / "site"
    state = place.reader(root=(tmp_path / "ci-keys/root.json").read_bytes()).refresh()
    assert (state.root_version, state.latest_version, state.min_version, state.withdrawn) == (5, 2, 2, (1,))
