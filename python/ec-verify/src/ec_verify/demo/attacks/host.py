"""Attacks on the machine around the store: what boots, /etc, units, preloaded libraries, processes. Each has a twin.

A twin does on the same spot what administrators and programs do every day; nothing that weighs may be said of it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

from ec_verify.demo import machine
from ec_verify.demo.attacks.attack import Attack
from ec_verify.demo.errors import DemoError
from ec_verify.demo.programs import find_all
from ec_verify.demo.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ec_verify.demo.node import Node

_DOOR = "/nix/store/00000000000000000000000000000000-back-door"
_RUNTIME = "/run/systemd/system"
_SERVICE = "publisher-news.service"
_LAST_WORD = "loglevel=4"
# A shell waits for a line that never comes, and needs no other program for it.
_WAIT = ("-c", "echo ready; read -r line")


def _logical(node: Node, file: Path) -> str:
    return f"/{file.relative_to(node.root)}"


def _write(node: Node, path: str, text: str) -> None:
    """Write a file of the machine, and its directories."""
    file = node.root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def replace_initrd(node: Node) -> None:
    """Append a program to the initial RAM disk on the boot partition."""
    (file,) = {*(node.root / machine.BOOT / "EFI/nixos").glob("*initrd*")}
    file.write_bytes(file.read_bytes() + b"070701 back door")
    node.attacked = [_logical(node, file)]


def replace_kernel(node: Node) -> None:
    """Change one byte of the kernel on the boot partition; its size stays."""
    (file,) = (node.root / machine.BOOT / "EFI/nixos").glob("*bzImage*")
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    node.attacked = [_logical(node, file)]


def renew_boot_files(node: Node) -> None:
    """Install the boot loader's files anew: other inodes, other times, the same bytes; a new random seed."""
    for file in (node.root / machine.BOOT / "EFI/nixos").iterdir():
        data = file.read_bytes()
        file.unlink()
        file.write_bytes(data)
    (node.root / machine.BOOT / "loader/random-seed").write_bytes(os.urandom(32))


def another_init(node: Node) -> None:
    """Let the entry that is started next end in a shell instead of the system's init."""
    entry = machine.default_entry(node.root)
    text = entry.read_text()
    entry.write_text(text.replace(f"init={node.release.toplevel}/init", "init=/bin/sh"))
    node.attacked = [_logical(node, entry)]


def another_command_line(node: Node) -> None:
    """Let the entry that is started next ask for a shell on a console, before anybody has to log in."""
    entry = machine.default_entry(node.root)
    entry.write_text(entry.read_text().replace(_LAST_WORD, f"{_LAST_WORD} systemd.debug_shell"))
    node.attacked = [_logical(node, entry)]


def choose_another_entry(node: Node) -> None:
    """Start the signed rescue system next, as `bootctl set-default` would."""
    conf = node.root / machine.BOOT / "loader/loader.conf"
    default = machine.default_entry(node.root)
    (other,) = (one for one in default.parent.iterdir() if one != default)
    conf.write_text(conf.read_text().replace(default.name, other.name))


def add_drop_in(node: Node) -> None:
    """Let a service start another program, by a drop-in that the next reboot removes."""
    path = f"{_RUNTIME}/{_SERVICE}.d/override.conf"
    _write(node, path, "[Service]\nExecStart=\nExecStart=/tmp/back-door\n")
    node.attacked = [path]


def forge_generated_unit(node: Node) -> None:
    """Put a unit where systemd's generators put theirs, which runs a program of the attacker's."""
    path = "/run/systemd/generator.early/sshd.service"
    _write(node, path, "[Unit]\nSourcePath=/etc/fstab\n[Service]\nExecStart=@/var/tmp/back-door sshd\n")
    node.attacked = [path]


def leave_usual_units(node: Node) -> None:
    """Leave what generators, session managers and `systemctl set-property --runtime` leave."""
    publisher = node.path("publisher-1.4")
    _write(node, "/run/systemd/transient/session-2.scope", "[Scope]\nSlice=user-1000.slice\nTasksMax=infinity\n")
    _write(node, "/run/systemd/transient/run-u7.service", f'[Service]\nExecStart="{publisher}" "--once"\n')
    _write(node, f"/run/systemd/system.control/{_SERVICE}.d/50-CPUWeight.conf", "[Service]\nCPUWeight=50\n")
    _write(node, f"{_RUNTIME}/user-1000.slice.d/50-limits.conf", "[Slice]\nMemoryMax=1G\n")
    _write(node, "/run/systemd/generator.late/serial-getty.service", f"[Service]\nExecStart=-{publisher} --keep\n")


def move_static(node: Node) -> None:
    """Let /etc/static, and so all of /etc, lead to a copy of the system's etc with one more line."""
    static = node.root / "etc/static"
    copy = node.root / "var/etc"
    shutil.copytree(node.physical(os.readlink(static)), copy, symlinks=True)  # noqa: PTH115 - the text itself
    static.unlink()
    static.symlink_to("/var/etc")
    node.attacked = ["/etc/static"]


def alter_copied_file(node: Node) -> None:
    """Give everybody the rights of root, in a file that the system copied to /etc because of its mode."""
    file = node.root / "etc/sudoers"
    file.chmod(0o640)
    file.write_text("ALL ALL=(ALL) NOPASSWD: ALL\n")
    file.chmod(0o440)
    node.attacked = ["/etc/sudoers"]


def shadow_entry(node: Node) -> None:
    """Replace a link of /etc by a file."""
    link = node.root / "etc/tls.conf"
    link.unlink()
    link.write_text("protocol 1.0\n")
    node.attacked = ["/etc/tls.conf"]


def administer(node: Node) -> None:
    """Add a user, get another address, make host keys and a connection: what every machine does to its /etc."""
    for path in ("passwd", "group", "shadow"):
        file = node.root / "etc" / path
        file.write_text(file.read_text() + "alice:x:1000:100::/var/empty:/run/current-system/sw/bin/sh\n")
    _write(node, "/etc/resolv.conf", "nameserver 192.0.2.53\n")
    _write(node, "/etc/ssh/ssh_host_ed25519_key", "a key\n")
    _write(node, "/etc/NetworkManager/system-connections/office.nmconnection", "[connection]\n")
    (node.root / "etc/localtime").symlink_to("../nix/store/zoneinfo/Europe/Berlin")
    _write(node, "/etc/.clean", "sudoers\n")


def preload(node: Node) -> None:
    """Load a library into every program."""
    _write(node, "/etc/ld-nix.so.preload", "/var/lib/hide.so\n")
    node.attacked = ["/etc/ld-nix.so.preload"]


def preload_nothing(node: Node) -> None:
    """Leave an empty preload file behind."""
    _write(node, "/etc/ld.so.preload", "\n")


def _start(node: Node, program: str, arguments: Sequence[str] = _WAIT, wrapper: Sequence[str] = ()) -> None:
    """Start a shell of the machine's inside its root, and end it by its number when the node is done."""
    command = [*wrapper, find_all()["chroot"], str(node.root), program, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PATH": os.defpath})
    node.cleanup.callback(process.wait)
    node.cleanup.callback(process.kill)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            node.cleanup.callback(stream.close)
    if process.stdout is None or process.stdout.readline() != b"ready\n":
        raise DemoError("did not start", place=shlex.join(command))


def _shell(node: Node, path: str) -> str:
    """Put a shell that needs no library at *path* of the machine."""
    file = node.physical(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(find_all()["bash-static"], file)
    file.chmod(0o555)
    os.utime(file, (1, 1))
    return path


def _registered_shell(node: Node) -> str:
    """Give the machine a shell in its store that policy allows."""
    node.write_policy({"allowed_unlisted": ["*-back-door"]})
    Store(node.root).register(_shell(node, _DOOR))
    return _DOOR


def run_foreign(node: Node) -> None:
    """Run a program that is not the store's."""
    path = _shell(node, "/opt/back-door")
    _start(node, path)
    node.attacked = [path]


def run_deleted(node: Node) -> None:
    """Run a program out of the store, and put an innocent one in its place."""
    path = _registered_shell(node)
    _start(node, path)
    file = node.physical(path)
    file.unlink()
    file.write_bytes(b"as if nothing had happened")
    file.chmod(0o444)
    os.utime(file, (1, 1))
    Store(node.root).rewrite_row(path)
    node.attacked = [path]


def run_registered(node: Node) -> None:
    """Run a program of the store that policy allows, and let Nix replace its file by an equal one meanwhile."""
    path = _registered_shell(node)
    _start(node, path)
    file = node.physical(path)
    twin = file.with_name(f".tmp-link-{os.getpid()}-1")
    shutil.copy2(file, twin)
    twin.rename(file)


def mount_elsewhere(node: Node) -> None:
    """Mount another file over the publisher, in the mount namespace of one process alone."""
    publisher = node.path("publisher-1.4")
    evil = node.directory / "evil"
    evil.write_bytes(node.physical(publisher).read_bytes() + b"; and a back door")
    _namespaced(node, str(evil), str(node.physical(publisher)))
    node.attacked = [publisher]


def mount_itself(node: Node) -> None:
    """Mount a store path over itself, read-only, in a namespace of its own: what services are confined with."""
    publisher = str(node.physical(node.path("publisher-1.4")))
    _namespaced(node, publisher, publisher)


def _namespaced(node: Node, source: str, target: str) -> None:
    shell = _registered_shell(node)
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    wrapper = [find_all()["unshare"], "--mount", "--propagation", "private", "sh", "-c", script, "sh", source, target]
    _start(node, shell, wrapper=wrapper)


def _attack(
    name: str, title: str, story: str, apply: Callable[[Node], None], code: str, *, root: bool = False
) -> Attack:
    """Return an attack on the machine, which leaves its store alone."""
    return Attack(name, title, story, apply, frozenset({code}), on_store=False, needs_root=root)


def _twin(name: str, title: str, story: str, apply: Callable[[Node], None], *, root: bool = False) -> Attack:
    """Return what looks alike and is no attack."""
    return Attack(name, title, story, apply, frozenset(), verdict="passed", on_store=False, needs_root=root)


ATTACKS = (
    _attack(
        "boot-initrd",
        "Replaced initial RAM disk",
        "added a program to the initial RAM disk on the boot partition",
        replace_initrd,
        "EV307",
    ),
    _attack("boot-kernel", "Replaced kernel", "changed the kernel on the boot partition", replace_kernel, "EV307"),
    _twin("boot-renewed", "Boot files installed anew", "installed the same boot files anew", renew_boot_files),
    _attack("boot-init", "Boot entry with another init", "made the next boot end in a shell", another_init, "EV308"),
    _attack(
        "boot-parameters",
        "Boot entry with more parameters",
        "made the next boot open a shell on a console",
        another_command_line,
        "EV308",
    ),
    _twin(
        "boot-choice",
        "Another signed boot entry",
        "chose the signed rescue system for the next boot",
        choose_another_entry,
    ),
    _attack(
        "drop-in",
        "Drop-in under /run",
        "made a service start another program until the next reboot",
        add_drop_in,
        "EV313",
    ),
    _attack(
        "generated-unit",
        "Unit as if generated",
        "put a unit where systemd's generators put theirs",
        forge_generated_unit,
        "EV313",
    ),
    _twin(
        "usual-units",
        "Units of sessions and generators",
        "left the units that every machine has under /run",
        leave_usual_units,
    ),
    _attack("etc-static", "Repointed /etc/static", "let all of /etc lead to a copy", move_static, "EV311"),
    _attack(
        "etc-copied",
        "Altered file of /etc",
        "gave everybody the rights of root in /etc/sudoers",
        alter_copied_file,
        "EV311",
    ),
    _attack(
        "etc-shadowed", "Replaced link of /etc", "put a file in the place of a link of /etc", shadow_entry, "EV311"
    ),
    _twin("etc-administered", "Administered /etc", "added a user, a host key and a connection", administer),
    _attack("preload", "Preloaded library", "had a library loaded into every program", preload, "EV314"),
    _twin("preload-empty", "Empty preload file", "left an empty preload file", preload_nothing),
    _attack(
        "process-foreign",
        "Process of a foreign program",
        "ran a program that is not the store's",
        run_foreign,
        "EV315",
        root=True,
    ),
    _attack(
        "process-deleted",
        "Process of a replaced program",
        "ran a program and put another in its place",
        run_deleted,
        "EV315",
        root=True,
    ),
    _twin(
        "process-registered",
        "Process of an optimised program",
        "ran a program whose file Nix replaced by an equal one",
        run_registered,
        root=True,
    ),
    _attack(
        "mount-elsewhere",
        "Mount that one process sees",
        "mounted a program of their own over the publisher for one process",
        mount_elsewhere,
        "EV303",
        root=True,
    ),
    _twin(
        "mount-itself",
        "Mount of a path over itself",
        "confined a service by mounting a store path over itself",
        mount_itself,
        root=True,
    ),
)
