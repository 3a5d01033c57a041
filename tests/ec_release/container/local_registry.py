"""A real registry on loopback: Debian's docker-registry, told to find a port of its own."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

_LISTENING = re.compile(rb"listening on (127\.0\.0\.1:\d+)")
_CONFIGURATION = """
version: 0.1
log: {{level: info}}
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:0"}}
"""


class Registry:
    """A registry; *host* is where it listens."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.host = ""

    def __enter__(self) -> Self:
        configuration = self.directory / "config.yml"
        configuration.write_text(_CONFIGURATION.format(root=self.directory / "data"))
        self._process = subprocess.Popen(
            ["docker-registry", "serve", configuration], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        assert self._process.stderr is not None
        # It says where it listens; until then it is not asked.
        for line in self._process.stderr:
            if match := _LISTENING.search(line):
                self.host = match[1].decode()
                break
        assert self.host, "the registry did not start"
        # What it says from now on goes nowhere, but is read: a full pipe would stop it.
        self._reader = subprocess.Popen(["cat"], stdin=self._process.stderr, stdout=subprocess.DEVNULL)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._reader.wait()

    def push(self, name: str, content: str, tag: str = "seed") -> str:
        """Push an image with one file to `host/name:tag`; return its digest. *content* decides about the digest."""
        layout = self.directory / f"layout-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
        digest = write_layout(layout, content)
        self.skopeo("copy", "--preserve-digests", f"oci:{layout}:it", f"docker://{self.host}/{name}:{tag}")
        return digest

    def skopeo(self, command: str, *arguments: str) -> str:
        """Run skopeo, which must succeed."""
        options = ["--dest-tls-verify=false"] if command == "copy" else ["--tls-verify=false"]
        done = subprocess.run(["skopeo", command, *options, *arguments], check=True, capture_output=True, text=True)
        return done.stdout

    def digest(self, name: str, tag: str) -> str:
        """Return what a tag names."""
        return self.skopeo("inspect", "--no-tags", "--format={{.Digest}}", f"docker://{self.host}/{name}:{tag}").strip()


def write_layout(directory: Path, content: str) -> str:
    """Write an OCI layout with one image of one file; return the digest of its manifest."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)

    def blob(data: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        member = tarfile.TarInfo("content")
        member.size = len(content.encode())
        tar.addfile(member, io.BytesIO(content.encode()))
    layer = stream.getvalue()
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
    config = blob(
        json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode(), "config.v1+json"
    )
    manifest = {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
        "layers": [blob(layer, "layer.v1.tar")],
    }  # fmt: skip
    descriptor = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    named = descriptor | {"annotations": {"org.opencontainers.image.ref.name": "it"}}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return str(descriptor["digest"])
