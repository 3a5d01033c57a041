"""The auditors' document: its commands work as written, one after the other, against a forge."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.ec_release.forge.server import REPOSITORY, TOKEN, serving

from ec_release.audit.audit import NAMES

if TYPE_CHECKING:
    from tests.ec_release.audit.conftest import Audited

DOCUMENT = Path(__file__).parents[3] / "docs/audit.md"
WHERE = re.compile(r"server=\S+ repository=\S+ tag=\S+|source=\S+")


def commands() -> list[str]:
    """Return every line that the document tells people to type."""
    blocks = re.findall(r"^ *```console\n(.*?)^ *```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    return [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]


@pytest.mark.skipif(
    not (shutil.which("cosign") and shutil.which("curl")), reason="there is no cosign or no curl on the PATH"
)
def test_the_documents_commands_work(unpublished: Audited, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the lines that say where the release is: here it is on the loopback."""
    lines = [line for line in commands() if not WHERE.fullmatch(line)]
    assert len(commands()) - len(lines) == 2
    assert len(lines) > 6
    unpublished.place.time = datetime.now(UTC)
    unpublished.tag = "boot-v1"
    unpublished.public.git("tag", "boot-v1")
    with serving(tmp_path / "forge") as forge:
        monkeypatch.setenv("EC_RELEASE_TOKEN", TOKEN)
        where = ("--server", forge.url, "--repository", REPOSITORY)
        keys = unpublished.place.keys = tmp_path / "forge-keys"
        unpublished.run("trust", "init", "--keys", keys, *where)
        unpublished.write()
        published: list[Any] = ["publish", "--tag", "boot-v1", "--version", "1", "--keys", keys, *where]
        unpublished.run(*published, "--closure", unpublished.manifest_file, "--assets", *unpublished.assets)
        monkeypatch.delenv("EC_RELEASE_TOKEN")
        here = tmp_path / "auditor"
        here.mkdir()
        shutil.copy(keys / "root.json", here / "root.json")
        done = subprocess.run(
            ["bash", "-c", "\n".join(["set -eux", *lines])],
            cwd=here,
            env=os.environ
            | {
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": str(here),
                "server": forge.url,
                "repository": REPOSITORY,
                "tag": "boot-v1",
                "source": str(unpublished.public.path),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 0, done.stderr[-3000:]
    assert "boot-v1, release 1: PASSED" in done.stdout
    assert "disk.img: OK" in done.stdout


def test_every_check_is_explained() -> None:
    """In the order in which they are made."""
    assert tuple(re.findall(r"^\| `([a-z-]+)` \|", DOCUMENT.read_text(), re.MULTILINE)) == NAMES
