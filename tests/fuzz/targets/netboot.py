"""What the boot server reads of images: archives, and the scripts in them; and its configuration."""

from __future__ import annotations

import io
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard
from tests.fuzz.mutate import twist_lines, twist_pieces
from tests.fuzz.target import Target, hold

from ec_closure.errors import BadInputError
from ec_netboot import config
from ec_netboot.errors import ConfigError, ScriptError
from ec_netboot.script import parse
from ec_netboot.staging.archive import unpack

if TYPE_CHECKING:
    from random import Random

_BLOCK = 512
_FILES = {"kernel", "initrd", "netboot.ipxe"}
_SYSTEM = b"/nix/store/00000000000000000000000000000000-system"


def _archive(data: bytes) -> None:
    """Read a tar archive; its compression is the library's, and put around it here."""
    with tempfile.TemporaryDirectory(prefix="ec-fuzz-") as scratch:
        target = Path(scratch) / "image"
        target.mkdir()
        try:
            found = unpack(io.BytesIO(zstandard.compress(data, 1)), target, what="archive")
        finally:
            hold([path.name for path in Path(scratch).iterdir()] == ["image"], "something came out beside")
            hold({path.name for path in target.rglob("*")} <= _FILES, "another file than an image has")
            hold(not any(path.is_symlink() or not path.is_file() for path in target.iterdir()), "no regular file")
        hold(found.keys() == _FILES, "an image without one of its files")
        hold(all((target / name).stat().st_size == file.size for name, file in found.items()), "another size")


def _make_archive(random: Random) -> bytes:
    raw = io.BytesIO()
    how = random.choice((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    with tarfile.open(fileobj=raw, mode="w", format=how, bufsize=_BLOCK) as packed:
        for name in random.sample(("./", "kernel", "bzImage", "./initrd", "initrd", "netboot.ipxe"), 4):
            info = tarfile.TarInfo(name)
            info.mtime = random.choice((0, 1.5))
            data = b"" if name == "./" else random.randbytes(random.randrange(1, 1200))
            info.size, info.type = len(data), tarfile.DIRTYPE if name == "./" else tarfile.REGTYPE
            packed.addfile(info, io.BytesIO(data))
    return raw.getvalue()[:8192]


def _header(name: str, kind: bytes, size: int = 0) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, "/etc/passwd"
    return info.tobuf(tarfile.USTAR_FORMAT)


_HEADERS = (
    _header("../x", b"0"), _header("/x", b"0", 9), _header("kernel", b"2"), _header("kernel", b"1"), _header("x", b"x", 1 << 30),
    _header("x", b"g", 20), _header("kernel", b"S", 9), _header("kernel", b"L", 9), _header("kernel", b"0", (1 << 33) - 1), bytes(_BLOCK),
)  # fmt: skip


def _twist_archive(random: Random, data: bytes) -> bytes:
    blocks = [data[at : at + _BLOCK] for at in range(0, len(data), _BLOCK)]
    return b"".join(twist_pieces(random, blocks, _HEADERS))


def _script(data: bytes) -> None:
    found = parse(data, what="script")
    hold(found.arguments.isascii() and found.arguments.isprintable(), "what iPXE reads otherwise")
    hold(not {"\n", "|", "&", "#", ";", "$"} & set(found.arguments), "a second command")
    hold(f"init={found.toplevel}/init" in found.arguments.split(), "another system than it says")


_SCRIPT = (
    b"#!ipxe", b"# comment", b"kernel bzImage init=" + _SYSTEM + b"/init initrd=initrd loglevel=4 ${cmdline}", b"initrd initrd", b"boot",
    b"kernel kernel init=" + _SYSTEM + b"/init", b"chain http://x/", b"shell", b"initrd --name initrd initrd", b"kernel", b"boot ||",
)  # fmt: skip
_WORDS = (
    b"${cmdline}", b"${", b"}", b"&&", b"||", b"#", b"\n", b"\r", b"\t", b"\\", b'"', b"init=", b" ", b"\x0b", b"\x1c", b"\xc2\x85",
)  # fmt: skip


def _make_script(random: Random) -> bytes:
    return b"\n".join([_SCRIPT[0], *random.choices(_SCRIPT[1:2], k=random.randrange(2)), *_SCRIPT[2:5], b""])


_CONFIGS = (
    b'platforms = ["aarch64"]\n[http]\nport = 80\nallowed = ["10.0.0.0/8", "::1/128"]\n',
    b'[tftp]\nenabled = true\naddress = "10.0.0.2"\nbios = "/b"\n[proxy_dhcp]\nenabled = true\nsubnet = "10.0.0.0/24"\n',
    b'[script]\nurl = "http://a/"\nkernel_parameters = ["a=${net0/mac}"]\n[release]\ntag = "v1"\n',
)
_LINES = (
    b'allowed = ["::/0", "x"]', b"port = " + b"9" * 5000, b'subnet = "0.0.0.0/33"', b'address = "::1%eth0"', b'url = "http://[/"', b"[tftp]",
    b'kernel_parameters = ["a b"]', b'sha256 = "f"', b"platforms = []", b"[http]", b"[[http]]", b'user = "root\\n"',
)  # fmt: skip

NETBOOT = (
    Target("boot-archive", _archive, _make_archive, _twist_archive, (BadInputError,), (b"0000777\0", b"ustar\0"), 600),
    Target(
        "boot-script",
        _script,
        _make_script,
        twist_lines(_SCRIPT),
        (ScriptError,),
        _WORDS,
    ),
    Target(
        "boot-config",
        config.decode,
        lambda random: random.choice(_CONFIGS),
        twist_lines(_LINES),
        (ConfigError,),
        (b"=", b"[", b"]", b'"', b"\n", b"/", b":", b"\x00", b"\xff", b"9" * 30),
    ),
)
