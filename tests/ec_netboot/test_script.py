"""The image's own boot script is read, word by word, and ours is rendered from it."""

from __future__ import annotations

import pytest

from ec_netboot.errors import ScriptError
from ec_netboot.script import dispatch, parse

SYSTEM = "/nix/store/00000000000000000000000000000000-nixos-system-runner-26.11"
# As nixpkgs and our flake write it.
NIXOS = f"""#!ipxe
# Use the cmdline variable to allow the user to specify custom kernel params
# when chainloading this script from other iPXE scripts like netboot.xyz
kernel bzImage init={SYSTEM}/init initrd=initrd nohibernate loglevel=4 lsm=landlock,yama,bpf ${{cmdline}}
initrd initrd
boot
"""


def changed(old: str, new: str) -> bytes:
    """Return the script with something else in it."""
    assert old in NIXOS
    return NIXOS.replace(old, new).encode()


def test_what_nixos_writes_is_read() -> None:
    """The system, and the kernel's arguments without those that are ours to write."""
    found = parse(NIXOS.encode(), what="script")

    assert found.toplevel == SYSTEM
    assert found.arguments == f"init={SYSTEM}/init nohibernate loglevel=4 lsm=landlock,yama,bpf"


@pytest.mark.parametrize("kernel", ["kernel", "Image"])
def test_other_names_of_the_kernel(kernel: str) -> None:
    """By platform, and as our flake calls it."""
    assert parse(changed("bzImage", kernel), what="script").toplevel == SYSTEM


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("#!ipxe", "#!/bin/sh"),
        ("boot\n", "boot\nshell\n"),
        ("boot\n", ""),
        ("initrd initrd", "initrd http://elsewhere/initrd"),
        ("kernel bzImage", "kernel http://elsewhere/bzImage"),
        ("kernel bzImage", "chain http://elsewhere/bzImage"),
        (f"kernel bzImage init={SYSTEM}/init initrd=initrd nohibernate loglevel=4", "kernel"),
        ("loglevel=4", "loglevel=4 || chain http://elsewhere/"),
        ("loglevel=4", "loglevel=4 && shell"),
        ("loglevel=4", "loglevel=${net0/mac}"),
        ("loglevel=4", "log\\level"),
        ("loglevel=4", "a#b"),
        ("loglevel=4", "a;b"),
        ("loglevel=4", "a\x0bb"),
        ("loglevel=4", "ü"),
        ("loglevel=4", "x" * 2001),
        (f"init={SYSTEM}/init", "quiet"),
        (f"init={SYSTEM}/init", f"init={SYSTEM}/init init={SYSTEM}/init"),
        (f"init={SYSTEM}/init", "init=/bin/sh"),
        (f"init={SYSTEM}/init", f"init={SYSTEM}/../evil/init"),
        ("lsm=", f"init=/bin/sh init={SYSTEM}/init "),
    ],
)
def test_what_says_more_is_not_rendered(old: str, new: str) -> None:
    """Signed or not: a script of ours holds nothing that was not understood."""
    with pytest.raises(ScriptError):
        parse(changed(old, new), what="script")


def test_a_machine_goes_on_with_its_own_script() -> None:
    """One platform needs no question."""
    assert dispatch({"x86_64": "/x"}) == "#!ipxe\nchain --replace /x\n"
