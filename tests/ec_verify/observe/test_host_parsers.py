"""What strangers write where boot loaders and kernels read: parsers take anything, and read what is right."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_verify.observe import extlinux, grub, loader_entry, maps, pe
from ec_verify.observe.elf import build_id, build_id_of_module
from ec_verify.observe.kernel_modules import parse_dependencies, parse_loaded
from ec_verify.observe.loader_entry import LoaderEntry, next_of

ENTRY = """\
title NixOS
version Generation 12 NixOS, built on 2026-11-01
linux /EFI/nixos/kernel.efi
initrd /EFI/nixos/initrd.efi
initrd /EFI/more.efi
options init=/nix/store/x/init quiet
options loglevel=4
# options evil
sort-key nixos
"""
GRUB = """\
set default=1
menuentry "NixOS" --class nixos {
  search --set=drive1 --fs-uuid 1234
  linux ($drive1)/kernels/k-bzImage init=/nix/store/x/init dyndbg="file a +p"
  initrd ($drive1)/kernels/i-initrd ($drive1)/kernels/x-secrets
}
menuentry "Xen" {
  multiboot ($drive1)/kernels/xen.gz dom0
  module ($drive1)/kernels/k init=/nix/store/y/init
  module ($drive1)/kernels/i
}
menuentry "other" {
  chainloader /EFI/other.efi
}
"""
EXTLINUX = """\
DEFAULT nixos-default
LABEL nixos-default
  LINUX ../nixos/k
  INITRD ../nixos/i
  APPEND init=/nix/store/x/init quiet
LABEL nixos-1
  LINUX /k1
"""
garbage = st.text(max_size=200) | st.lists(
    st.sampled_from(["linux", " ", "\n", "menuentry", "'", '"', "{", "}", "initrd", "module", "LABEL", "\\", "=", "a"])
).map("".join)


def test_an_entry_of_systemd_boot_is_read() -> None:
    """Options and initial RAM disks add up, comments do not count, tries are no part of the name."""
    assert LoaderEntry(
        name="nixos-1.conf",
        kernel="/EFI/nixos/kernel.efi",
        initrds=("/EFI/nixos/initrd.efi", "/EFI/more.efi"),
        options=("init=/nix/store/x/init", "quiet", "loglevel=4"),
        sort=("nixos", "Generation 12 NixOS, built on 2026-11-01"),
    ) == loader_entry.parse("nixos-1+3-1.conf", ENTRY)


def test_entries_of_grub_are_read_with_their_drives_gone() -> None:
    """Also those of a hypervisor, whose kernel is a module."""
    entries = grub.parse(GRUB)

    assert [
        ("NixOS", "/kernels/k-bzImage", ("/kernels/i-initrd", "/kernels/x-secrets"), False),
        ("Xen", "/kernels/k", ("/kernels/xen.gz", "/kernels/i"), True),
        ("other", None, (), False),
    ] == [(one.name, one.kernel, one.initrds, is_next) for one, is_next in entries]
    assert ("init=/nix/store/x/init", "dyndbg=file a +p") == entries[0][0].options


@pytest.mark.parametrize(
    "command",
    [
        "linux ($drive1)/evil init=/x",
        "\tlinux\t/evil init=/x",
        "true; linux /evil init=/x",
        "true && linux /evil init=/x",
        "if true; then linux /evil init=/x; fi",
        "if linux /evil init=/x",
        "l\"in\"ux '/evil' init=/x",
        "li\\\nnux /evil init=/x",
        "\\l\\i\\n\\u\\x /ev\\il init=/x",
        "function f {linux /evil init=/x\n}",
        "set x='\n';linux /evil init=/x",
        'linux "/evil" init=/x # comment',
    ],
)
def test_a_kernel_is_found_wherever_grub_may_load_it(command: str) -> None:
    """GRUB's language is a shell: quotes, escapes, blocks, and several commands in a line."""
    (entry, is_next) = grub.parse(f"menuentry a {{\n{command}\n}}\nmenuentry b {{\n}}\n")[0]

    assert ("/evil", ("init=/x",), True) == (entry.kernel, entry.options, is_next)


@pytest.mark.parametrize(
    "command", ["chainloader /evil", "source /evil", ". /evil", "configfile (hd0)/evil", "eval /evil"]
)
def test_what_reads_or_starts_something_else_is_an_entry_of_its_own(command: str) -> None:
    """Also behind a kernel that is as it should be."""
    found = grub.parse(f"menuentry a {{\nlinux /good init=/x\n{command}\n}}\n")

    assert [("/good", None, True), (None, "/evil", True)] == [(one.kernel, one.program, next_) for one, next_ in found]


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        ("", ["a"]),
        ("set default=0", ["a"]),
        ('set default="1"', ["b", "c"]),
        ('set default="1>0"', ["b"]),
        ("set default='1>1'", ["c"]),
        ("set default=c", ["c"]),
        ("set default=the-d", ["d"]),
        ("set default=2\nset default=${saved_entry}", ["d"]),
    ],
)
def test_the_menu_that_grub_starts_next_is_found_by_number_name_and_id(said: str, chosen: list[str]) -> None:
    """Menus in menus count for themselves."""
    menu = "menuentry {0} --class x --id the-{0} {{ linux /{0} }}\n"
    config = f"{said}\n{menu.format('a')}submenu s {{\n{menu.format('b')}{menu.format('c')}}}\n{menu.format('d')}"

    assert chosen == [one.name for one, is_next in grub.parse(config) if is_next]


def test_what_grub_loads_outside_any_menu_may_be_started() -> None:
    """And what it calls by a variable may be anything."""
    found = grub.parse("linux /a\n$x /b\nset y=$x\n# linux /c\n")

    assert [("/a", None, True), (None, "$x", True)] == [(one.kernel, one.program, is_next) for one, is_next in found]


def test_entries_of_extlinux_are_resolved_from_their_directory() -> None:
    """U-Boot reads paths relative to the file."""
    entries, defaults = extlinux.parse(EXTLINUX, "extlinux")

    assert {"nixos-default"} == defaults
    assert [("/nixos/k", ("/nixos/i",)), ("/k1", ())] == [(one.kernel, one.initrds) for one in entries]


@pytest.mark.parametrize(
    ("more", "chosen", "program"),
    [
        ("LABEL evil\nMENU DEFAULT\nLINUX /evil\n", {"nixos-default", "evil"}, None),
        ("DEFAULT evil\nLABEL evil\nLINUX /evil\n", {"nixos-default", "evil"}, None),
        ("INCLUDE /evil.conf\n", {"nixos-default", "include /evil.conf"}, "/evil.conf"),
        ("menu include evil.conf\n", {"nixos-default", "include /extlinux/evil.conf"}, "/extlinux/evil.conf"),
    ],
)
def test_whatever_may_be_the_default_of_extlinux_is_told(more: str, chosen: set[str], program: str | None) -> None:
    """A label may say so itself, and an included file may say anything."""
    entries, defaults = extlinux.parse(EXTLINUX + more, "extlinux")

    assert (chosen, program) == (defaults, entries[-1].program)


@pytest.mark.parametrize(
    "text",
    [
        "linux /evil",
        "title x\rlinux /evil",
        "linux /good\n" * 20_000 + "linux /evil",
        "linux /evil\nLINUX /good",
        "linux /evil\nlinux\f/good",
        "linux /evil\nlinux",
        "linux /evil\n\0\nlinux /good",
        "linux /evil\n# linux /good",
        '\tlinux\t"/evil" ',
    ],
)
def test_an_entry_is_read_as_systemd_boot_reads_it(text: str) -> None:
    """Keys have one case; line ends, blanks and the end of a file are not what they look like."""
    assert "/evil" == loader_entry.parse("a.conf", text).kernel


def test_an_entry_that_starts_a_program_beside_its_kernel_says_so() -> None:
    """Some releases start the one that comes last."""
    entry = loader_entry.parse("a.conf", "linux /good\noptions init=/x\nefi /evil.efi\n")

    assert ("/good", "/evil.efi") == (entry.kernel, entry.program)


def test_sections_of_an_image_that_come_twice_are_none() -> None:
    """Loaders differ in which of them they take."""
    data = image((".linux", b"good"), (".cmdline", b"words"), (".linux", b"evil"))

    assert {".cmdline"} == pe.unique(pe.sections(data)).keys()


@given(garbage)
def test_no_text_breaks_the_parsers_of_configurations(text: str) -> None:
    """Whatever lies on a boot partition it is read to its end."""
    loader_entry.parse("a.conf", text)
    loader_entry.defaults(text)
    grub.parse(text)
    extlinux.parse(text, "extlinux")


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        ((), "nixos-10.conf"),
        (("nixos-9.conf",), "nixos-9.conf"),
        (("nixos-9",), "nixos-9.conf"),
        (("nixos-*",), "nixos-10.conf"),
        (("absent", "other.conf"), "other.conf"),
    ],
)
def test_the_entry_that_is_started_next_is_the_newest_that_fits(patterns: tuple[str, ...], chosen: str) -> None:
    """Versions are compared by their numbers; entries without a sort key come last."""
    names = {
        "nixos-9.conf": ("nixos", "Generation 9"),
        "nixos-10.conf": ("nixos", "Generation 10"),
        "other.conf": ("", "99"),
    }

    assert chosen == next_of(names, patterns)


def test_a_pattern_of_brackets_does_not_take_for_ever() -> None:
    """A million of them would, in the library that matches patterns."""
    assert "a.conf" == loader_entry.next_of({"a.conf": ("", "1")}, ("[" * 1_000_000,))


@given(st.dictionaries(st.text(max_size=9), st.tuples(st.text(max_size=9), st.text(max_size=30))), st.lists(st.text()))
def test_some_entry_is_started_next_whatever_they_are_called(
    names: dict[str, tuple[str, str]], patterns: list[str]
) -> None:
    """Unless there is none."""
    chosen = next_of(names, tuple(patterns))

    assert chosen in names if names else chosen is None


def image(*sections: tuple[str, bytes]) -> bytes:
    """Return a PE file of *sections*, padded as linkers do."""
    head = bytearray(512)
    head[:2], head[60:64], head[64:68] = b"MZ", (64).to_bytes(4, "little"), b"PE\0\0"
    head[70:72] = len(sections).to_bytes(2, "little")
    body = b""
    for number, (name, data) in enumerate(sections):
        padded = data.ljust(-(-len(data) // 512) * 512, b"\0")
        at = 88 + 40 * number
        head[at : at + 24] = struct.pack("<8sIIII", name.encode(), len(data), 0, len(padded), 512 + len(body))
        body += padded
    return bytes(head) + body


@given(st.binary(min_size=1, max_size=900), st.binary(min_size=1, max_size=900))
def test_sections_of_an_image_are_found_without_their_padding(kernel: bytes, words: bytes) -> None:
    """What firmware loads is compared, and not one byte of filling."""
    data = image((".linux", kernel), (".cmdline", words))

    assert {".linux": kernel, ".cmdline": words} == {
        one.name: data[one.offset : one.offset + one.size] for one in pe.sections(data[: pe.HEADER_BYTES])
    }


@given(st.binary(max_size=300), st.integers(0, 600))
def test_no_damage_breaks_the_reading_of_an_image(noise: bytes, at: int) -> None:
    """Headers lie as they please."""
    data = bytearray(image((".linux", b"kernel"), (".cmdline", b"words")))
    data[at : at + len(noise)] = noise

    assert len(pe.sections(bytes(data))) <= pe.MAX_SECTIONS


def note(kind: int, name: bytes, content: bytes) -> bytes:
    """Return an ELF note."""
    padded = [part.ljust(-(-len(part) // 4) * 4, b"\0") for part in (name, content)]
    return struct.pack("<III", len(name), len(content), kind) + b"".join(padded)


@given(st.binary(min_size=1, max_size=64), st.binary(max_size=40))
def test_the_build_id_is_found_among_other_notes(ident: bytes, other: bytes) -> None:
    """Whatever stands before it."""
    assert ident.hex() == build_id(note(1, b"Xen\0", other) + note(3, b"GNU\0", ident))


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading_of_notes(data: bytes) -> None:
    """Sizes of four gigabytes are only claims."""
    build_id(data)
    build_id_of_module(b"\x7fELF" + data)


def test_the_build_id_of_a_module_is_found_in_its_first_bytes() -> None:
    """Where linkers put it."""
    ident = bytes(range(20))

    assert ident.hex() == build_id_of_module(b"\x7fELF".ljust(64, b"\0") + note(3, b"GNU\0", ident) + b"code" * 99)


def test_loaded_modules_are_read_with_their_taint() -> None:
    """The letters stand in brackets at the end."""
    listed = b"zfs 3 0 spl,icp, Live 0x0 (POE)\nloop 4 0 - Live 0x0\nshort line\n"

    assert (("zfs", "POE"), ("loop", "")) == parse_loaded(listed)


def test_modules_are_known_by_their_names_whatever_packs_them() -> None:
    """A hyphen in a file's name is an underscore in the module's."""
    listed = b"kernel/fs/overlay.ko.xz:\nextra/snd-hda.ko: kernel/a.ko\nx/y.ko.zst:\nnothing\n"

    assert {"overlay": "kernel/fs/overlay.ko.xz", "snd_hda": "extra/snd-hda.ko", "y": "x/y.ko.zst"} == (
        parse_dependencies(listed)
    )


MAPS = b"""\
00400000-00401000 r--p 00000000 fe:00 7 /nix/store/x/bin/a
00401000-00402000 r-xp 00001000 fe:00 7 /nix/store/x/bin/a
00403000-00404000 r-xp 00001000 fe:00 7 /nix/store/x/bin/a
7f0000000000-7f0000001000 r-xp 00000000 fe:00 9 /tmp/b c (deleted)
7f0000002000-7f0000003000 r-xp 00000000 00:01 4 /memfd:jit (deleted)
7f0000004000-7f0000005000 r-xp 00000000 00:00 0 [vdso]
7f0000006000-7f0000007000 rw-p 00000000 fe:00 8 /nix/store/x/data
"""


def test_executable_maps_are_files_once_each() -> None:
    """Data, the kernel's own and memory without a file are left out."""
    found = maps.parse(MAPS)

    assert [(b"/nix/store/x/bin/a", False, "00401000-00402000"), (b"/tmp/b c", True, "7f0000000000-7f0000001000")] == [
        (one.path, one.deleted, one.range) for one in found
    ]


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading_of_maps(data: bytes) -> None:
    """And none hides the line that follows."""
    assert b"/nix/store/x/bin/a" in {one.path for one in maps.parse(data + b"\n" + MAPS)}


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading_of_modules(data: bytes) -> None:
    """Nor here."""
    assert ("loop", "") in parse_loaded(data + b"\nloop 4 0 - Live 0x0\n")
    parse_dependencies(data)
