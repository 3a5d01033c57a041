"""Machines really boot: iPXE and UEFI firmware in QEMU, from our ProxyDHCP, TFTP and HTTP, to a staged kernel.

Everything lies in network namespaces of its own: in one a router that gives addresses and knows nothing of booting, in
the other our server and the machine's cable. Nothing outside is reached, or reaches in.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import select
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard

from ec_closure import manifest
from ec_release.backend.directory import DirectoryBackend
from ec_release.publishing import plan
from ec_release.publishing.publish import publish
from ec_release.trust.initialise import initialise
from ec_release.trust.keys import load_ring
from ec_release.trust.roles import Periods
from ec_release.trust.update import Signing

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

_QEMU = "qemu-system-x86_64"
_IPXE = Path("/usr/lib/ipxe")
_OVMF = Path("/usr/share/OVMF")
_SRI = "sha256-" + "A" * 43 + "="
_SYSTEM = f"/nix/store/{'0' * 32}-nixos-system-guest"
_PATIENCE = 80
_NOBODY = 65534
_SERVER, _ROUTER = "10.99.0.2", "10.99.0.1"


def kernel() -> Path:
    """Return a Linux kernel for x86_64 that is at hand."""
    places = [
        *Path("/boot").glob("vmlinuz-*"),
        *(Path.home() / ".cache/ec-runner/lab/root/nix/store").glob("*-kernel/bzImage"),
    ]
    for place in places:
        if place.is_file():
            return place
    pytest.skip("there is no kernel at hand, in /boot or in the lab")


def require(*programs: str) -> None:
    """Skip where something is missing."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program}")
    if not Path("/dev/net/tun").exists():
        pytest.skip("there is no /dev/net/tun")


def initrd(line: str) -> bytes:
    """Return an initrd whose first program writes *line* and ends, which ends the machine (`panic=-1`)."""
    bash = shutil.which("bash-static")
    if bash is None:
        pytest.skip("there is no bash-static")
    script = f"#!/bash\necho '{line}'\n".encode()
    parts = [("init", 0o100755, script), ("bash", 0o100755, Path(bash).read_bytes()), ("TRAILER!!!", 0, b"")]
    out = io.BytesIO()
    for number, (name, mode, data) in enumerate(parts, 1):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0")
        out.write(bytes(-out.tell() % 4))
        out.write(data)
        out.write(bytes(-out.tell() % 4))
    return out.getvalue()


def archive(files: dict[str, bytes]) -> bytes:
    """Return the archive of an image."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as packed:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return zstandard.compress(raw.getvalue(), 1)


def publish_image(place: Path) -> None:
    """Publish release 1 with an image, as CI does."""
    now = datetime.now(UTC)
    backend, keys = DirectoryBackend(place / "tree"), place / "keys"
    initialise(backend, keys, root_keys=1, root_threshold=1, time=now, periods=Periods())
    files = {
        "kernel": kernel().read_bytes(),
        "initrd": initrd("EC-NETBOOT IS UP"),
        "netboot.ipxe": (
            f"#!ipxe\nkernel bzImage init={_SYSTEM}/init initrd=initrd rdinit=/init console=ttyS0 panic=-1 loglevel=1 "
            "${cmdline}\ninitrd initrd\nboot\n"
        ).encode(),
    }
    asset = place / "ec-runner-x86_64-netboot-boot-v1-0123abc.tar.zst"
    asset.write_bytes(archive(files))
    described = place / "ec-runner-x86_64-netboot.closure.json.zst"
    described.write_bytes(
        manifest.encode(
            manifest.Manifest(
                release=manifest.Release(tag="boot-v1", version=1, issued=0),
                source=manifest.Source(nar_hash=_SRI, store_path=f"/nix/store/{'1' * 32}-source"),
                system=manifest.System(
                    name="ec-runner-x86_64-netboot",
                    attr="a",
                    platform="x86_64-linux",
                    drv_path=f"{_SYSTEM}.drv",
                    out_path=_SYSTEM,
                ),
                builder=manifest.Builder(nix="2.8.0", sandbox=True, platform="x86_64-linux"),
                paths=(
                    manifest.PathRecord(
                        path=_SYSTEM, nar_hash=_SRI, nar_size=1, origin="built", deriver=f"{_SYSTEM}.drv", output="out"
                    ),
                ),
                boot=tuple(
                    manifest.BootFile(
                        name=name,
                        store_path=_SYSTEM,
                        sha256=hashlib.sha256(files[name]).hexdigest(),
                        size=len(files[name]),
                    )
                    for name in ("initrd", "kernel")
                ),
            )
        )
    )
    signing = Signing(load_ring([keys]), now, Periods())
    publish(backend, plan.make("boot-v1", 1, [asset], [described]), signing, (keys / "root.json").read_bytes())


@dataclass
class Network:
    """Two namespaces, joined by a bridge in ours, with a cable for the machine."""

    stack: contextlib.ExitStack
    path: Path
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ours, self.theirs = f"ec-boot-{os.getpid()}", f"ec-router-{os.getpid()}"
        for name in (self.ours, self.theirs):
            subprocess.run(["ip", "netns", "add", name], check=True)
            self.stack.callback(subprocess.run, ["ip", "netns", "delete", name], check=True)
            self.ip(name, "link", "set", "lo", "up")
        self.ip(self.ours, "link", "add", "lan0", "type", "bridge", "forward_delay", "0")
        self.ip(self.ours, "link", "add", "port", "type", "veth", "peer", "name", "lan0", "netns", self.theirs)
        self.ip(self.ours, "tuntap", "add", "cable", "mode", "tap")
        for name in ("port", "cable"):
            self.ip(self.ours, "link", "set", name, "master", "lan0")
            self.ip(self.ours, "link", "set", name, "up")
        for name, address in ((self.ours, _SERVER), (self.theirs, _ROUTER)):
            self.ip(name, "address", "add", f"{address}/24", "dev", "lan0")
            self.ip(name, "link", "set", "lan0", "up")

    def ip(self, name: str, *words: str) -> None:
        """Configure the network in the namespace *name*."""
        subprocess.run(["ip", "-n", name, *words], check=True)

    def start(self, name: str, *command: str | Path, what: str) -> subprocess.Popen[bytes]:
        """Start a program in the namespace *name*; its output goes to a file called *what*. It ends with the test."""
        log = self.stack.enter_context((self.path / what).open("wb"))
        process = subprocess.Popen(
            ["ip", "netns", "exec", name, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        self.stack.callback(process.wait, 30)
        self.stack.callback(process.terminate)
        return process

    def log(self, what: str) -> str:
        """Return what a program said."""
        return (self.path / what).read_text(errors="replace")


@pytest.fixture
def network() -> Iterator[Network]:
    """Give a network with a router on it, and our server, which has staged release 1."""
    require(_QEMU, "dnsmasq", "ip", "bash-static", "setpriv")
    with contextlib.ExitStack() as stack:
        # The server gives up root, and the directories that pytest gives are root's alone.
        tmp_path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ec-netboot-")))
        tmp_path.chmod(0o755)
        publish_image(tmp_path)
        found = Network(stack, tmp_path)
        router = [
            "dnsmasq",
            "--keep-in-foreground",
            "--port=0",
            "--log-facility=-",
            "--log-dhcp",
            "--conf-file=/dev/null",
        ]
        found.start(
            found.theirs,
            *router,
            "--interface=lan0",
            "--dhcp-range=10.99.0.100,10.99.0.200,255.255.255.0,1h",
            "--dhcp-authoritative",
            f"--dhcp-leasefile={tmp_path}/leases",
            what="router",
        )
        base = f"{(tmp_path / 'tree').as_uri()}/download/"
        config = tmp_path / "netboot.toml"
        config.write_text(
            f'state_dir = "{tmp_path}/state"\nruntime_dir = "{tmp_path}/run"\nuser = "nobody"\n'
            f'[trust]\nroot = "{tmp_path}/keys/root.json"\nmetadata_base = "{base}trust/"\ntarget_base = "{base}"\n'
            '[http]\naddress = "0.0.0.0"\nallowed = ["10.99.0.0/24"]\n'
            f'[tftp]\nenabled = true\naddress = "{_SERVER}"\ninterface = "lan0"\n'
            f'bios = "{_IPXE}/undionly.kpxe"\nefi_x86_64 = "{_IPXE}/ipxe.efi"\n'
            '[proxy_dhcp]\nenabled = true\nsubnet = "10.99.0.0/24"\n'
        )
        subprocess.run([sys.executable, "-m", "ec_netboot", "stage", "--config", config], check=True)
        yield found


def serve(network: Network) -> None:
    """Start our server as root, which it gives up once it has its sockets and dnsmasq."""
    command = [sys.executable, "-m", "ec_netboot", "serve", "--config", network.path / "netboot.toml"]
    network.servers.append(network.start(network.ours, *command, what="server"))


def serve_apart(network: Network) -> None:
    """Start it as two units do: nobody, with the capabilities that the NixOS module gives each."""
    runtime = network.path / "run"
    runtime.mkdir()
    os.chown(runtime, _NOBODY, _NOBODY)
    command = [sys.executable, "-m", "ec_netboot", "serve", "--config", network.path / "netboot.toml", "--only"]
    for part, capabilities in (("http", ()), ("boot", ("net_admin", "net_bind_service", "net_raw"))):
        as_nobody = [*rights(*capabilities), *command, part]
        network.servers.append(network.start(network.ours, *as_nobody, what="server" if part == "http" else "firmware"))


def rights(*capabilities: str) -> list[str]:
    """Return what runs a command as nobody with *capabilities* alone."""
    kept = set(capabilities)
    if not all(parent.stat().st_mode & 0o005 == 0o005 for parent in Path(sys.executable).resolve().parents):
        kept.add("dac_read_search")  # this Python lies where only root may look; the system's does not
    words = ",".join(f"+{name}" for name in sorted(kept)) or "-all"
    return [
        "setpriv",
        *(f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--no-new-privs"),
        *(
            f"--inh-caps={words}",
            f"--ambient-caps={words}",
            f"--bounding-set=-all,{words}" if kept else "--bounding-set=-all",
        ),
    ]


def booted(network: Network, *machine: str | Path) -> str:
    """Start a machine, wait until it ends, and return what it wrote to its serial port."""
    command = [
        _QEMU,
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-m", "512", "-machine", "q35,accel=tcg"),
        *("-netdev", "tap,id=cable,ifname=cable,script=no,downscript=no"),
        *("-serial", "stdio", "-monitor", "none"),
        *machine,
    ]
    process = network.start(network.ours, *command, what="console")
    with contextlib.ExitStack() as stack:
        waiting = []
        for one in (process, *network.servers):
            waiting.append(os.pidfd_open(one.pid))
            stack.callback(os.close, waiting[-1])
        ended = select.select(waiting, [], [], _PATIENCE)[0]
    if ended != waiting[:1]:
        logs = [path for path in network.path.iterdir() if path.name in ("console", "server", "firmware", "router")]
        pytest.fail("\n".join(f"--- {path.name}\n{network.log(path.name)[-4000:]}" for path in logs))
    return network.log("console")


def test_a_machine_with_ipxe_boots(network: Network) -> None:
    """The iPXE in its network card is offered the script at once; kernel and initrd are those of the release."""
    serve(network)
    text = booted(network, "-device", "virtio-net-pci,netdev=cable,bootindex=1")

    assert "EC-NETBOOT IS UP" in text
    said = network.log("server")
    assert '"path": "/netboot.ipxe", "status": 200' in said
    assert "ipxe.efi" not in said


def test_a_machine_with_uefi_firmware_boots(network: Network) -> None:
    """Its firmware loads our iPXE by TFTP, which asks again and is offered the script, not itself."""
    serve_apart(network)
    code, variables = _OVMF / "OVMF_CODE_4M.fd", _OVMF / "OVMF_VARS_4M.fd"
    if not code.exists() or not (_IPXE / "ipxe.efi").exists():
        pytest.skip("there is no OVMF, or no iPXE")
    own = network.path / "variables.fd"
    shutil.copyfile(variables, own)

    text = booted(
        network,
        *("-drive", f"if=pflash,format=raw,readonly=on,file={code}", "-drive", f"if=pflash,format=raw,file={own}"),
        # Without a ROM on the card: the firmware's own driver asks, as on a machine without iPXE.
        *("-device", "virtio-net-pci,netdev=cable,bootindex=1,romfile="),
        # Else it waits for entropy.
        *("-device", "virtio-rng-pci"),
    )

    assert "EC-NETBOOT IS UP" in text
    said = network.log("firmware")
    # Twice: firmware asks for the size first, and breaks that transfer off. Never again once iPXE has spoken.
    assert said.rindex("/tftp/ipxe.efi to 10.99.0.") < said.index("tags: ipxe, ")
    assert network.log("server").count('"path": "/netboot.ipxe", "status": 200') == 1
