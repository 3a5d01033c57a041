"""What a machine of the demonstration has around its store: /etc, a boot partition, and what systemd leaves in /run.

All of it is made as NixOS makes it: its script for /etc, its installer of systemd-boot, and systemd's generators.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from ec_verify.location import StoreLocation
from ec_verify.observe.running import follow

BOOT = "boot"
_MUTABLE = {
    "NIXOS": "",
    "passwd": "root:x:0:0::/root:/run/current-system/sw/bin/sh\n",
    "group": "root:x:0:\n",
    "shadow": "root:!:1::::::\n",
    "machine-id": f"{'0' * 31}1\n",
    "resolv.conf": "nameserver 192.0.2.1\n",
}
_FSTAB_MOUNT = "[Unit]\nSourcePath=/etc/fstab\n\n[Mount]\nWhat=/dev/disk/by-label/var\nWhere=/var\nType=ext4\n"


def furnish(root: Path, toplevel: str) -> None:
    """Give the machine below *root*, which runs *toplevel*, all that a store does not hold. What was there is gone."""
    for name in ("etc", BOOT, "run/systemd"):
        shutil.rmtree(root / name, ignore_errors=True)
    location = StoreLocation(root)
    _make_etc(location, toplevel)
    specialisations = location.physical(follow(location, f"{toplevel}/specialisation") or toplevel)
    systems = [
        toplevel,
        *(_real(location, f"{toplevel}/specialisation/{one.name}") for one in specialisations.iterdir()),
    ]
    names = [_add_entry(location, system) for system in systems]
    loader = root / BOOT / "loader"
    (loader / "loader.conf").write_text(f"timeout 5\ndefault {names[0]}\neditor 0\n")
    (loader / "random-seed").write_bytes(b"\x5a" * 32)
    generated = root / "run/systemd/generator"
    (generated / "local-fs.target.requires").mkdir(parents=True)
    (generated / "var.mount").write_text(_FSTAB_MOUNT)
    (generated / "local-fs.target.requires" / "var.mount").symlink_to("../var.mount")


def default_entry(root: Path) -> Path:
    """Return the menu entry that is started next."""
    conf = (root / BOOT / "loader/loader.conf").read_text()
    name = next(line.split()[1] for line in conf.splitlines() if line.startswith("default "))
    return root / BOOT / "loader/entries" / name


def _make_etc(location: StoreLocation, toplevel: str) -> None:
    """Link every entry of the system's etc, and copy those with a mode of their own."""
    etc = location.physical("/etc")
    etc.mkdir(parents=True)
    origin = _real(location, f"{toplevel}/etc")
    (etc / "static").symlink_to(origin)
    base = location.physical(origin)
    for directory, _, files in os.walk(base):
        for name in files:
            relative = Path(directory).relative_to(base) / name
            target = etc / relative
            mode = base / f"{relative}.mode"
            if relative.suffix in (".mode", ".uid", ".gid"):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if mode.exists():
                target.write_bytes((base / relative).read_bytes())
                target.chmod(int(mode.read_text(), 8))
            else:
                target.symlink_to(f"/etc/static/{relative}")
        for name in [name for name in os.listdir(directory) if (Path(directory) / name).is_symlink()]:  # noqa: PTH208 - names only
            relative = Path(directory).relative_to(base) / name
            if not os.path.lexists(etc / relative):
                (etc / relative).parent.mkdir(parents=True, exist_ok=True)
                (etc / relative).symlink_to(f"/etc/static/{relative}")
    for name, content in _MUTABLE.items():
        (etc / name).write_text(content)


def _add_entry(location: StoreLocation, system: str) -> str:
    """Copy kernel and initial RAM disk to the boot partition and write the menu entry of *system*; return its name."""
    partition = location.physical(f"/{BOOT}")
    for directory in ("EFI/nixos", "EFI/systemd", "EFI/BOOT", "loader/entries"):
        (partition / directory).mkdir(parents=True, exist_ok=True)
    copies = []
    for name in ("kernel", "initrd"):
        stored = _real(location, f"{system}/{name}")
        copy = f"EFI/nixos/{stored.removeprefix(location.store_dir + '/').replace('/', '-')}.efi"
        shutil.copyfile(location.physical(stored), partition / copy)
        copies.append(copy)
    parameters = location.physical(_real(location, f"{system}/kernel-params")).read_text()
    entry = (
        f"title Appliance\nversion Generation 1\nlinux /{copies[0]}\ninitrd /{copies[1]}\n"
        f"options init={system}/init {parameters}\nsort-key nixos\n"
    )
    name = f"nixos-{hashlib.sha256(entry.encode()).hexdigest()}.conf"
    (partition / "loader/entries" / name).write_text(entry)
    return name


def _real(location: StoreLocation, path: str) -> str:
    found = follow(location, path)
    if found is None:
        raise LookupError(f"{path} leads in a circle")
    return found
