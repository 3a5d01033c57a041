"""What lies around the store: units, rules, menus of boot loaders, images, modules, maps of processes.

Their readers refuse nothing: whatever lies there, they read what is right, and what stands behind damage stays seen.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from tests.fuzz.mutate import twist_pieces
from tests.fuzz.target import Target, hold

from ec_verify.judge.unit_settings import changes_view, is_resource, loads_code, mount_point
from ec_verify.observe import (
    command_line,
    elf,
    extlinux,
    grub,
    kernel_modules,
    loader_entry,
    maps,
    pe,
    rules,
    unit_syntax,
)

if TYPE_CHECKING:
    from random import Random

_STORE = "/nix/store"
_EVIL = "/evil"


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _unit(data: bytes) -> None:
    text = _text(data)
    for one in unit_syntax.parse(text):
        hold(one.section in unit_syntax.SECTIONS, "an assignment of no section")
        hold(one.value == one.value.strip(unit_syntax.BLANKS), "a value with blanks around it")
        commands = command_line.parse(one.value)
        hold(len(commands) <= len(one.value), "commands out of nothing")
        command_line.words(one.value)
        loads_code(one.key, one.value, _STORE)
        changes_view(one.key, one.value, _STORE)
        is_resource(one.key)
        mount_point(one.value)
    last = unit_syntax.parse(f"{text}\n\n[Service]\nExecStart={_EVIL}\n")[-1]
    hold(last == ("Service", "ExecStart", _EVIL), "what stands behind was hidden")


def _command(data: bytes) -> None:
    value = _text(data)
    seen = [one.program for one in command_line.parse(value)]
    if '"' not in value and "'" not in value and not value.endswith("\\"):
        more = [one.program for one in command_line.parse(f"{value} ; {_EVIL}")]
        hold(more[-1:] == [_EVIL], "the last command was hidden")
        hold(len(more) >= len(seen), "a command less for one more")


def _rules(data: bytes) -> None:
    text = _text(data)
    hold(all(line and not line.startswith("#") for line in rules.parse(text)), "a comment, or nothing")
    hold("evil" in rules.parse(f"{text}\nevil\n"), "a line was hidden")


def _entry(data: bytes) -> None:
    text = _text(data).replace("\0", "")
    entry = loader_entry.parse("a.conf", _text(data))
    hold(loader_entry.parse("a.conf", f"{text}\nlinux {_EVIL}\n").kernel == _EVIL, "another kernel than the last one")
    patterns = (*loader_entry.defaults(text), loader_entry.variable(data))
    chosen = loader_entry.next_of({entry.name: entry.sort, "b.conf": ("", "2")}, patterns)
    hold(chosen in (entry.name, "b.conf"), "nothing is started")


def _extlinux(data: bytes) -> None:
    text = _text(data).replace("\0", "")
    extlinux.parse(_text(data), "extlinux")
    entries, defaults = extlinux.parse(f"{text}\nlabel x\nlinux {_EVIL}\nmenu default\n", "")
    hold(any(one.kernel == _EVIL and one.name in defaults for one in entries), "a default was hidden")


def _grub(data: bytes) -> None:
    found = grub.parse(_text(data))
    hold(len(found) <= len(data), "entries out of nothing")
    first, is_next = grub.parse(f"linux {_EVIL}\n{_text(data)}")[0]
    # A hypervisor, which the kernel looks like, stands among what it is given.
    hold(is_next and _EVIL in (first.kernel, *first.initrds), "what stands before was hidden")


def _pe(data: bytes) -> None:
    found = pe.sections(data)
    hold(len(found) <= pe.MAX_SECTIONS, "sections without end")
    hold(set(pe.unique(found).values()) <= set(found), "sections out of nothing")


def _elf(data: bytes) -> None:
    for ident in (elf.build_id(data), elf.build_id_of_module(data), elf.build_id_of_module(b"\x7fELF" + data)):
        hold(ident is None or 0 < len(bytes.fromhex(ident)) <= 64, "a build ID of another size")


def _maps(data: bytes) -> None:
    line = b"00400000-00401000 r-xp 00001000 fe:00 7 /evil"
    hold(b"/evil" in {one.path for one in maps.parse(data + b"\n" + line)}, "a map was hidden")


def _modules(data: bytes) -> None:
    hold(("evil", "O") in kernel_modules.parse_loaded(data + b"\nevil 1 0 - Live 0x0 (O)\n"), "a module was hidden")
    hold(all("-" not in name for name in kernel_modules.parse_dependencies(data)), "a name that no module has")


_UNIT = (
    b"[Unit]", b"Description=a \\", b"# comment", b"[Service]", b"Type=oneshot", b"ExecStart=@-/x y 'a b' \\; ; \"/z\" \\x2f",
    b"Environment=A=b 'LD_PRELOAD=/x'", b"ExecStop=/x \\", b"; comment", b"[X-A]", b"ExecStart=", b"[Mount]", b"What=/dev/x",
)  # fmt: skip
_COMMANDS = (b"/x", b"@-/x", b"'a b'", b'"a"', b";", b"\\;", b"\\x2f", b"\\057", b"\\u002f", b"!!+", b"%t/x", b"$X")
_RULES = (b'KERNEL=="sda", RUN+="/x"', b"# comment", b"a \\", b"install x /y", b"kernel.core_pattern=|/x", b"c! /dev/x")
_ENTRY = (
    b"title NixOS", b"version Generation 12", b"linux /EFI/nixos/k.efi", b"initrd /EFI/nixos/i.efi", b"efi /x.efi",
    b"options init=/nix/store/x/init quiet", b"# comment", b"sort-key nixos", b"default nixos-*", b"devicetree /x",
)  # fmt: skip
_LABELS = (
    b"DEFAULT a", b"LABEL a", b"LINUX ../nixos/k", b"INITRD /i,/j", b"APPEND init=/x quiet", b"FDT /x", b"MENU DEFAULT",
    b"INCLUDE x", b"# comment", b"ONTIMEOUT b", b"LABEL b",
)  # fmt: skip
_MENUS = (
    b"set default=1", b'menuentry "a" --id x {', b'linux ($drive1)/k init=/x dyndbg="file a +p"', b"initrd /i /j", b"}",
    b"submenu s {", b"if [ x ]; then linux '/k'; fi", b"function f {", b"multiboot /xen.gz", b"module /k init=/x", b"$x /y",
    b"source /x", b"# comment", b'set default="${saved_entry}"',
)  # fmt: skip
_MAPS = (
    b"00400000-00401000 r-xp 00001000 fe:00 7 /nix/store/x/bin/a", b"7f00-7f01 r-xp 00000000 fe:00 9 /tmp/b c (deleted)",
    b"7f02-7f03 r-xp 00000000 00:01 4 /memfd:jit (deleted)", b"7f04-7f05 r-xp 00000000 00:00 0 [vdso]",
)  # fmt: skip
_MODULES = (
    b"zfs 3 0 spl,icp, Live 0x0 (POE)",
    b"loop 4 0 - Live 0x0",
    b"kernel/a-b.ko.xz: kernel/c.ko",
    b"x/y.ko.zst:",
)
_MARKS = (
    b"\n",
    b"\r",
    b"\0",
    b"\\\n",
    b"\\",
    b"=",
    b"[",
    b"]",
    b"{",
    b"}",
    b";",
    b"#",
    b'"',
    b"'",
    b"\xff",
    b"\xef\xbb\xbf",
    b" ",
)


def _make_image(random: Random) -> bytes:
    head = bytearray(512)
    head[:2], head[60:64], head[64:68] = b"MZ", (64).to_bytes(4, "little"), b"PE\0\0"
    names = random.sample((b".linux", b".initrd", b".cmdline", b".osrel", b".linux"), random.randrange(1, 5))
    head[70:72] = len(names).to_bytes(2, "little")
    for number, name in enumerate(names):
        head[88 + 40 * number : 112 + 40 * number] = struct.pack("<8sIIII", name, random.randrange(99), 0, 512, 512)
    return bytes(head)


def _make_notes(random: Random) -> bytes:
    note = struct.pack("<III", 4, 20, 3) + b"GNU\0" + random.randbytes(20)
    other = struct.pack("<III", 4, 5, 1) + b"Xen\0" + bytes(8)
    return random.choice((note, other + note, b"\x7fELF" + bytes(60) + other + note))


def _lined(words: tuple[bytes, ...], separator: bytes = b"\n") -> dict[str, Any]:
    """Return what makes and twists texts of lines."""

    def make(random: Random) -> bytes:
        return separator.join(random.choices(words, k=random.randrange(1, 12)))

    def twist(random: Random, data: bytes) -> bytes:
        return separator.join(twist_pieces(random, data.split(separator), (*words, *_MARKS)))

    return {"make": make, "twist": twist, "errors": (), "words": _MARKS}


def _blocks(random: Random, data: bytes) -> bytes:
    pieces = [data[at : at + 4] for at in range(0, len(data), 4)]
    return b"".join(twist_pieces(random, pieces, (b"\xff" * 4, bytes(4), b"PE\0\0", b"GNU\0", b"\x03\0\0\0", b".lin")))


AROUND = (
    Target("unit", _unit, **_lined(_UNIT)),
    Target("command-line", _command, **_lined(_COMMANDS, b" ")),
    Target("rules", _rules, **_lined(_RULES)),
    Target("loader-entry", _entry, **_lined(_ENTRY)),
    Target("extlinux", _extlinux, **_lined(_LABELS)),
    Target("grub", _grub, **_lined(_MENUS)),
    Target("pe", _pe, _make_image, _blocks, (), (b"MZ", b"PE\0\0", b"\xff" * 8)),
    Target("elf-notes", _elf, _make_notes, _blocks, (), (b"GNU\0", b"\xff" * 4)),
    Target("maps", _maps, **_lined(_MAPS)),
    Target("modules", _modules, **_lined(_MODULES)),
)
