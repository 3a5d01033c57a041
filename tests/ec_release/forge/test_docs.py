"""The operators' document: what it shows of a Forgejo works as written, one after the other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.ec_release.forge.server import REPOSITORY, TOKEN

ROOT = Path(__file__).parents[3]


def test_the_documents_commands_work(new_place: Any, forge: Any, tmp_path: Path) -> None:
    """Beginning, publishing by way of a draft, ceremony, stolen keys and withdrawal, in one shell."""
    text = (ROOT / "docs/trust.md").read_text()
    section = re.search(r"^## With a Forgejo$(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    assert section is not None
    blocks = re.findall(r"^ *```console\n(.*?)^ *```", section[1], re.DOTALL | re.MULTILINE)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    assert len(lines) > 15
    assert f"--repository {REPOSITORY} " in lines[0]
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/disk.img").write_bytes(b"image")
    (tmp_path / "dist/runner.closure.json.zst").write_bytes(new_place.manifest(1, tag="boot-v1"))
    (tmp_path / "token").write_text(TOKEN)
    script = "\n".join(["set -eux", *lines]).replace("https://git.example.org", forge.url)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    new_place.time = datetime.now(UTC)
    state = new_place.reader(root=(tmp_path / "forge-keys/root.json").read_bytes()).refresh()
    assert (state.root_version, state.latest_version, state.min_version, state.withdrawn) == (3, 2, 2, (1,))
    assert forge.state.of_tag("trust")[0]["prerelease"]


def test_every_error_that_the_document_explains_is_one() -> None:
    """Its words stand in the program."""
    document = (ROOT / "docs/releasing.md").read_text()
    program = "".join(path.read_text() for path in (ROOT / "python/ec-release/src").rglob("*.py"))
    quoted = re.findall(r'^\| [^|]*?"([^"|]+)"[^|]*\|', document, re.MULTILINE)
    assert len(quoted) > 10
    for words in quoted:
        parts = [part for part in re.split(r"[0-9]+|…", words) if part.strip()]
        assert all(part.strip() in program for part in parts), words
