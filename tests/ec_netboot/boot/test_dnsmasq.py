"""What dnsmasq is told: it reads it without complaint, and what it serves is iPXE alone."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from ec_netboot import config as configuration
from ec_netboot.boot.dnsmasq import configure
from ec_netboot.boot.root import prepare
from ec_netboot.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

TFTP = '[tftp]\nenabled = true\naddress = "10.20.30.2"\n'
BOTH = 'bios = "{0}/bios"\nefi_x86_64 = "{0}/efi"\nefi_aarch64 = "{0}/arm"\n'
PROXY = '[proxy_dhcp]\nenabled = true\nsubnet = "10.20.30.0/24"\n'
INTERFACE = 'interface = "lo"\n'


def config_of(tmp_path: Path, text: str) -> configuration.Config:
    """Return a configuration whose files exist."""
    for name in ("bios", "efi", "arm"):
        (tmp_path / name).write_bytes(name.encode())
    return configuration.decode(f'runtime_dir = "{tmp_path}/run"\n{text.format(tmp_path)}'.encode())


@pytest.mark.parametrize("more", [BOTH, BOTH + INTERFACE, BOTH + PROXY, 'efi_x86_64 = "{0}/efi"\n' + INTERFACE + PROXY])
@pytest.mark.parametrize("token", [None, "correct-horse-battery-1"])
def test_dnsmasq_accepts_it(tmp_path: Path, more: str, token: str | None) -> None:
    """As `dnsmasq --test` says, for every kind of configuration."""
    dnsmasq = shutil.which("dnsmasq", path="/usr/sbin:/usr/bin:/sbin:/bin") or shutil.which("dnsmasq")
    if dnsmasq is None:
        pytest.skip("there is no dnsmasq")
    file = prepare(config_of(tmp_path, TFTP + more), token=token)

    done = subprocess.run([dnsmasq, "--test", f"--conf-file={file}"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "dnsmasq: syntax check OK.\n")


def test_only_ipxe_is_served(tmp_path: Path) -> None:
    """Under names of ours, copied: nothing that lay there before, and nothing beside."""
    (tmp_path / "run/tftp").mkdir(parents=True)
    (tmp_path / "run/tftp/old").write_text("old")

    file = prepare(config_of(tmp_path, TFTP + BOTH), token=None)

    root = tmp_path / "run/tftp"
    assert {path.name: path.read_bytes() for path in root.iterdir()} == {
        "undionly.kpxe": b"bios",
        "ipxe.efi": b"efi",
        "ipxe-arm64.efi": b"arm",
    }
    assert not any(path.is_symlink() for path in root.iterdir())
    assert f"tftp-root={root}\n" in file.read_text()


def test_others_may_read_ipxe_and_nobody_the_token(tmp_path: Path) -> None:
    """Whatever the umask is: dnsmasq gives up its rights before it reads files, and after it read its configuration."""
    import os

    before = os.umask(0o077)
    try:
        file = prepare(config_of(tmp_path, TFTP + BOTH + PROXY), token="correct-horse-battery-1")  # noqa: S106 - no secret
    finally:
        os.umask(before)

    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "run/tftp").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "run/tftp/ipxe.efi").stat().st_mode & 0o777 == 0o644
    assert file.stat().st_mode & 0o777 == 0o600


def test_no_names_and_no_leases(tmp_path: Path) -> None:
    """The network's own servers stay the only ones; without ProxyDHCP nothing of DHCP is configured."""
    lines = configure(config_of(tmp_path, TFTP + BOTH)).splitlines()

    assert "port=0" in lines
    assert not [line for line in lines if line.startswith(("dhcp-", "pxe-"))]
    assert (
        "dhcp-range=10.20.30.0,proxy,255.255.255.0" in configure(config_of(tmp_path, TFTP + BOTH + PROXY)).splitlines()
    )


def test_ipxe_is_never_offered_itself(tmp_path: Path) -> None:
    """It would load itself for ever: whatever is offered to it is the script."""
    lines = configure(config_of(tmp_path, TFTP + BOTH + PROXY), token="t" * 16).splitlines()
    script = "http://10.20.30.2:8080/netboot.ipxe?token=tttttttttttttttt"
    services = [line.removeprefix("pxe-service=").split(",") for line in lines if line.startswith("pxe-service=")]

    assert {"dhcp-match=set:ipxe,175", "dhcp-userclass=set:ipxe,iPXE", f"dhcp-boot=tag:ipxe,{script}"} <= set(lines)
    assert {file for tag, *_, file in services if tag == "tag:ipxe"} == {script}
    assert {file for tag, *_, file in services if tag == "tag:!ipxe"} == {"undionly.kpxe", "ipxe.efi", "ipxe-arm64.efi"}
    assert len(services) == 8


def test_the_name_that_machines_know_goes_before_the_address(tmp_path: Path) -> None:
    """`script.url` says how they reach this server."""
    text = TFTP + BOTH + PROXY + '[script]\nurl = "http://boot.example.org/"\n'

    assert (
        "dhcp-boot=tag:ipxe,http://boot.example.org/netboot.ipxe" in configure(config_of(tmp_path, text)).splitlines()
    )


def test_a_missing_ipxe_is_named(tmp_path: Path) -> None:
    """Before anything is started."""
    config = config_of(tmp_path, TFTP + BOTH)
    (tmp_path / "efi").unlink()

    with pytest.raises(ConfigError, match="efi: cannot be read"):
        prepare(config, token=None)
