"""The boot script: what the image's own `netboot.ipxe` says is read, and ours is rendered. Pure.

iPXE expands ``${…}`` in every line and takes `#` for a comment, so that nothing reaches a script of ours but words that
were looked at one by one. Addresses name the release by its digest: a machine that has read one script gets kernel and
initrd of that very release, whatever is staged meanwhile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ec_closure.decoding import excerpt
from ec_netboot.errors import ScriptError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ec_netboot.release import Release

_MAX = 64 << 10
_MAX_ARGUMENTS: Final = 2000  # the kernel keeps 2048 bytes on most platforms, and more may be added
_KERNELS: Final = frozenset({"kernel", "bzImage", "Image"})
_INITRD: Final = frozenset({"initrd", "--name initrd initrd"})
_OURS: Final = "${cmdline}"
_WORD: Final = re.compile(r"[A-Za-z0-9@%+=:,./_~?*!\[\]{}()<>\"'-]+")
_INIT: Final = re.compile(r"init=(/[^\x00-\x1f\x7f ]*/[0-9a-df-np-sv-z]{32}-[0-9A-Za-z+._?=-]{1,211})/init")


@dataclass(frozen=True)
class BootScript:
    """What the image's own script asks for: the *toplevel* that is booted and all *arguments* of the kernel.

    `initrd=` is left out of *arguments*: it names what we load, and is ours to write.
    """

    toplevel: str
    arguments: str


def parse(data: bytes, *, what: str) -> BootScript:
    """Read the image's script, as NixOS writes it: `kernel FILE ARGUMENTS`, `initrd FILE`, `boot`.

    Raises `ScriptError` for anything else: what cannot be read is not rendered.
    """
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise ScriptError("is not ASCII", place=what) from error
    if len(data) > _MAX or not text.startswith("#!ipxe\n"):
        raise ScriptError("is no iPXE script", place=what)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    commands = [line.partition(" ")[0] for line in lines]
    if commands != ["kernel", "initrd", "boot"] or lines[1].partition(" ")[2].strip() not in _INITRD:
        raise ScriptError(
            "does more than `kernel`, `initrd` and `boot`",
            place=what,
            hint="only scripts of `system.build.netbootIpxeScript` are understood",
        )
    words = lines[0].split()[1:]
    if not words or words[0] not in _KERNELS:
        raise ScriptError(f"boots {excerpt(' '.join(words[:1]), 80)!r}, which is not in the image", place=what)
    return _read(words[1:], what)


def _read(words: Sequence[str], what: str) -> BootScript:
    kept = [word for word in words if word != _OURS and not word.startswith("initrd=")]
    for word in kept:
        check_word(word, what)
    found = [match for word in kept if (match := _INIT.fullmatch(word))]
    if len(found) != 1 or sum(word.startswith("init=") for word in kept) != 1:
        raise ScriptError("does not say which system is booted (init=/nix/store/…/init)", place=what)
    arguments = " ".join(kept)
    if len(arguments) > _MAX_ARGUMENTS:
        raise ScriptError(f"a kernel command line of {len(arguments)} characters", place=what)
    return BootScript(found[0][1], arguments)


def check_word(word: str, what: str) -> None:
    """Raise `ScriptError` unless *word* means to iPXE and to the kernel what it says."""
    if not _WORD.fullmatch(word) or "${" in word:
        raise ScriptError(f"{excerpt(word, 80)!r} cannot stand in a kernel command line", place=what)


def render(release: Release, *, base: str, extra: Sequence[str] = ()) -> str:
    """Return `netboot.ipxe` of *release*.

    *base* is what addresses begin with: a whole address that ends with a slash, or ``/``, which iPXE takes for the
    server that the script came from. *extra* follows the image's own kernel arguments.
    """
    files = release.files
    where = f"{base}releases/{release.archive}"
    arguments = " ".join([release.arguments, "initrd=initrd", *extra, _OURS])
    vouched = f"signed, release version {release.version}" if release.source == "signed" else "NOT SIGNED"
    return "\n".join(
        [
            "#!ipxe",
            f"# {release.asset} ({vouched})",
            f"# archive {release.archive}",
            f"# kernel  {files['kernel'].sha256} {files['kernel'].size} bytes",
            f"# initrd  {files['initrd'].sha256} {files['initrd'].size} bytes",
            f"# boots   {release.toplevel}",
            f"kernel --name kernel {where}/kernel {arguments}",
            f"initrd --name initrd {where}/initrd",
            "boot",
            "",
        ]
    )


def dispatch(platforms: Mapping[str, str]) -> str:
    """Return a script that goes on with the one for the machine it runs on. *platforms*: platform to address.

    iPXE for BIOS calls itself i386 on machines that are x86_64, so that only arm64 is asked for.
    """
    lines = ["#!ipxe"]
    if "aarch64" in platforms:
        lines.append("iseq ${buildarch} arm64 && goto aarch64 ||")
    if "x86_64" in platforms:
        lines.append(f"chain --replace {platforms['x86_64']}")
    if "aarch64" in platforms:
        lines += [":aarch64", f"chain --replace {platforms['aarch64']}"]
    return "\n".join([*lines, ""])
