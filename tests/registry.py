"""A real registry on loopback, a way to it that can be made to fail, and images made by hand.

The registry is Debian's `docker-registry` on a socket of its own; clients reach it through `Way`, which listens on a
free port, passes connections on, and spoils those that it is told to.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import shutil
import socket
import subprocess
import tarfile
import threading
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER, PASSWORD = "somebody", "a-secret:with 'signs' & äöü"


class Way:
    """What clients connect to. *faults* are spent one a request: a status, or `drop`, `cut` (in the middle)."""

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = str(socket_path)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.only = ""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._open: list[socket.socket] = []
        self._closed = False
        self._thread.start()

    @property
    def address(self) -> str:
        """Host and port."""
        host, port = self._listening.getsockname()[:2]
        return f"{host}:{port}"

    def close(self) -> None:
        """Stop listening, and cut what is open."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(client)
            threading.Thread(target=self._connection, args=[client], daemon=True).start()

    def _connection(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            first = client.recv(1 << 16)
            if first[:1] in (b"", b"\x16"):  # nobody, or somebody who tries TLS first
                return
            self.requests.append(first.partition(b"\r\n")[0].decode(errors="replace"))
            fault = self.faults.pop(0) if self.faults and self.only in self.requests[-1] else ""
            if fault == "drop":
                return
            if fault.isdigit():
                body = b'{"errors":[{"code":"UNKNOWN","message":"planted"}]}'
                client.sendall(
                    f"HTTP/1.1 {fault} Planted\r\nRetry-After: 0\r\nConnection: close\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n".encode()
                    + body
                )
                return
            with socket.socket(socket.AF_UNIX) as server:
                server.connect(self._socket_path)
                server.sendall(first)
                back = threading.Thread(
                    target=_pump, args=[server, client], kwargs={"cut": fault == "cut"}, daemon=True
                )
                back.start()
                _pump(client, server)
                back.join()


def _pump(source: socket.socket, sink: socket.socket, *, cut: bool = False) -> None:
    """Pass bytes on until one side ends; *cut* ends both in the middle of the first answer."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data[: len(data) // 2] if cut else data)
            if cut:
                break
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


class Registry:
    """A registry that keeps what it gets below *directory*; who writes must say who they are."""

    def __init__(self, directory: Path) -> None:
        for program in ("docker-registry", "skopeo", "htpasswd"):
            if shutil.which(program) is None:
                pytest.skip(f"there is no {program} on the PATH")
        self.directory = directory
        (directory / "data").mkdir(parents=True)
        lines = subprocess.run(["htpasswd", "-Bbn", "-C", "4", USER, PASSWORD], check=True, capture_output=True).stdout
        (directory / "htpasswd").write_bytes(lines)
        config = {
            "version": 0.1,
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": str(directory / "data")}, "delete": {"enabled": True}},
            "auth": {"htpasswd": {"realm": "test", "path": str(directory / "htpasswd")}},
            "http": {"net": "unix", "addr": str(directory / "socket"), "secret": "x"},
        }
        (directory / "config.json").write_text(json.dumps(config))  # JSON is YAML
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(directory / "config.json")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        log = self._process.stderr
        assert log is not None
        for line in log:
            if "listening on" in line:
                break
        else:
            pytest.fail("the registry did not start")
        self._drain = threading.Thread(target=lambda: [None for _ in log], daemon=True)
        self._drain.start()
        self.way = Way(directory / "socket")
        self.home = directory / "home"
        (self.home / ".config" / "containers").mkdir(parents=True)
        (self.home / ".config" / "containers" / "registries.conf").write_text(
            f'[[registry]]\nlocation = "{self.way.address}"\ninsecure = true\n'
        )

    @property
    def address(self) -> str:
        """Host and port."""
        return self.way.address

    @property
    def variables(self) -> dict[str, str]:
        """What tells skopeo that this registry speaks without TLS."""
        return {"HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / ".config")}

    def skopeo(self, command: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run skopeo as the reader of an image."""
        options = {
            "inspect": ["--tls-verify=false", f"--creds={USER}:{PASSWORD}"],
            "copy": ["--insecure-policy", "--src-tls-verify=false", f"--src-creds={USER}:{PASSWORD}"],
            "list-tags": ["--tls-verify=false", f"--creds={USER}:{PASSWORD}"],
        }[command]
        return subprocess.run(["skopeo", command, *options, *arguments], capture_output=True, check=False)

    def tags(self, name: str) -> list[str]:
        """Return the tags of an image; none where there is no such image."""
        done = self.skopeo("list-tags", f"docker://{self.address}/{name}")
        return sorted(json.loads(done.stdout)["Tags"] or []) if done.returncode == 0 else []

    def digest(self, reference: str) -> str:
        """Return what skopeo says the digest of an image is."""
        done = self.skopeo("inspect", f"docker://{self.address}/{reference}")
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["Digest"])

    def blob(self, digest: str) -> Path:
        """Return the file that holds a blob or a manifest."""
        encoded = digest.removeprefix("sha256:")
        return self.directory / f"data/docker/registry/v2/blobs/sha256/{encoded[:2]}/{encoded}/data"

    def close(self) -> None:
        """End it."""
        self.way.close()
        self._process.terminate()
        self._process.wait()
        self._drain.join()
        if self._process.stderr:
            self._process.stderr.close()


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Registry]:
    """Give a registry for as long as the block lasts."""
    registry = Registry(directory)
    try:
        yield registry
    finally:
        registry.close()


def layers(seed: str, count: int = 4, size: int = 20_000) -> list[bytes]:
    """Return tar archives that are a file each, the same for the same *seed*."""
    made = []
    for number in range(count):
        data = b"".join(hashlib.sha256(f"{seed} {number} {at}".encode()).digest() for at in range(size // 32))
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            member = tarfile.TarInfo(f"usr/share/{seed}/{number}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        made.append(buffer.getvalue())
    return made


def _config(archives: list[bytes]) -> dict[str, Any]:
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["/usr/share/nothing"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in archives]},
    }


def oci_layout(directory: Path, seed: str) -> str:
    """Make an OCI layout of several layers, and return it as skopeo names it."""
    archives = layers(seed)
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(kind: str, data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    config = add("config.v1+json", json.dumps(_config(archives)).encode())
    compressed = [add("layer.v1.tar+gzip", gzip.compress(one, mtime=0)) for one in archives]
    manifest = add(
        "manifest.v1+json", json.dumps({"schemaVersion": 2, "config": config, "layers": compressed}).encode()
    )
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return f"oci:{directory}"


def docker_archive(file: Path, seed: str) -> str:
    """Make an archive as `docker save` and nixpkgs' dockerTools do, and return it as skopeo names it."""
    archives = layers(seed)
    config = json.dumps(_config(archives)).encode()
    names = [f"{number}/layer.tar" for number in range(len(archives))]
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [f"{seed}:latest"], "Layers": names}]).encode()
    with tarfile.open(file, "w") as archive:
        for member, data in [(name, config), *zip(names, archives, strict=True), ("manifest.json", manifest)]:
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return f"docker-archive:{file}"


def copy_to(command: str) -> str:
    """Return the Nix text of a derivation `copy-to` that runs a shell *command* with the arguments that it gets."""
    script = json.dumps(f"#!/bin/sh\n{command}\n", ensure_ascii=False).replace("${", "\\${")
    return f"""derivation {{
      name = "copy-to";
      system = "x86_64-linux";
      builder = "/bin/sh";
      script = {script};
      passAsFile = [ "script" ];
      args = [ "-c" "/bin/mkdir -p $out/bin; /bin/cp $scriptPath $out/bin/copy-to; /bin/chmod 755 $out/bin/copy-to" ];
    }}"""


def copies(source: str) -> str:
    """Return the Nix text of a `copyTo` that copies the image *source*, as nix2container's and our own do."""
    return copy_to(f'exec skopeo copy --insecure-policy --quiet {source} "$@"')
