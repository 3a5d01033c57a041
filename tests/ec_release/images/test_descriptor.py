"""Descriptors: exact, and never believed more than their name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.errors import LimitError, UsageError
from ec_release.images import descriptor
from ec_release.images.descriptor import Descriptor
from ec_release.images.errors import DescriptorError, NamingError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WEB = b"RUN_ATTR=#web-image.passthru.copyTo\nIMAGE_NAME=web\n"


def test_it_is_two_lines(tmp_path: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    """As ADR-002 has them, in a file that is named after the image."""
    code, out, _ = command("descriptor", "--name", "web-image", "--output", tmp_path / "new")

    assert code == 0
    assert "run attr: #web-image.passthru.copyTo" in out
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["image-web.env"]
    assert WEB == (tmp_path / "new/image-web.env").read_bytes()


def test_dots_are_quoted() -> None:
    """Else Nix looks for an output of an output."""
    assert b'RUN_ATTR=#"a.b-image".passthru.copyTo\nIMAGE_NAME=a.b\n' == Descriptor("a.b-image").encode()


def test_the_step_gets_file_and_name(
    tmp_path: Path, command: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the upload that follows needs."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    command("descriptor", "--name", "web-image", "--output", tmp_path)
    lines = (tmp_path / "output").read_text().splitlines()
    assert [line.partition("<<")[0] for line in lines[::3]] == ["file", "image"]
    assert lines[1::3] == [f"{tmp_path}/image-web.env", "web"]


@pytest.mark.parametrize("name", ["web", "-image", "Web-image", "../web-image", "web-image\n", "$(id)-image"])
def test_names_that_are_no_images_are_refused(name: str, tmp_path: Path) -> None:
    """Nothing is written."""
    with pytest.raises(NamingError):
        Descriptor(name).write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_says_where(tmp_path: Path) -> None:
    """The place is the file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file/image-web.env: cannot be written"):
        Descriptor("web-image").write(tmp_path / "file")


@given(st.from_regex(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*", fullmatch=True).filter(lambda text: len(text) < 100))
def test_what_is_written_is_read(base: str) -> None:
    """For every name that registries take."""
    made = Descriptor(f"{base}-image")
    assert made == descriptor.parse(made.file_name, made.encode())


@pytest.mark.parametrize(
    ("file", "data"),
    [
        ("image-web.env", b""),
        ("image-web.env", WEB + b"\n"),
        ("image-web.env", WEB[:-1]),
        ("image-web.env", WEB.replace(b"\n", b"\r\n")),
        ("image-web.env", WEB + b"EXTRA=1\n"),
        ("image-web.env", b"IMAGE_NAME=web\nRUN_ATTR=#web-image.passthru.copyTo\n"),
        ("image-web.env", WEB.replace(b"#web-image", b"#evil-image")),
        ("image-web.env", WEB.replace(b"#web-image", b"github:evil/flake#web-image")),
        ("image-web.env", WEB.replace(b".passthru.copyTo", b".passthru.copyTo --impure")),
        ("image-web.env", WEB.replace(b"IMAGE_NAME=web", b"IMAGE_NAME=../other/web")),
        ("image-web.env", WEB.replace(b"IMAGE_NAME=web", b"IMAGE_NAME=$(id)")),
        ("image-web.env", WEB.replace(b"IMAGE_NAME=web", b'IMAGE_NAME="web"')),
        ("image-web.env", b"\xef\xbb\xbf" + WEB),
        ("image-web.env", b"\xff" * 40),
        ("image-web.env", WEB + b"\0"),
        ("image-other.env", WEB),
        ("image-Web.env", WEB),
        ("image-.env", b"RUN_ATTR=#-image.passthru.copyTo\nIMAGE_NAME=\n"),
        ("image-...env", b"RUN_ATTR=#.-image.passthru.copyTo\nIMAGE_NAME=.\n"),
        ("image-web.env.sh", WEB),
        ("web.env", WEB),
        ("image-web.env\n", WEB),
        (f"image-{'a' * 300}.env", WEB),
    ],
)
def test_everything_else_is_refused(file: str, data: bytes) -> None:
    """A descriptor cannot name another flake, another output, another place, or a program."""
    with pytest.raises(DescriptorError):
        descriptor.parse(file, data)


@given(st.binary(max_size=200))
def test_bytes_are_refused_or_known(data: bytes) -> None:
    """There is one content that the name allows."""
    if data != WEB:
        with pytest.raises(DescriptorError):
            descriptor.parse("image-web.env", data)


def test_a_directory_of_them(tmp_path: Path) -> None:
    """The good ones are found beside the bad, and each bad one is told."""
    for base in ("web", "db"):
        Descriptor(f"{base}-image").write(tmp_path)
    (tmp_path / "image-large.env").write_bytes(WEB * 100_000)
    (tmp_path / "image-link.env").symlink_to(tmp_path / "image-web.env")
    (tmp_path / "image-dir.env").mkdir()
    os.mkfifo(tmp_path / "image-pipe.env")
    (tmp_path / "readme").write_text("hello")
    found, wrong = descriptor.read_directory(tmp_path)

    assert [one.base for one in found] == ["db", "web"]
    assert [str(one).partition(":")[0] for one in wrong] == [
        "image-dir.env",
        "image-large.env",
        "image-link.env",
        "image-pipe.env",
        "readme",
    ]


def test_a_directory_is_bounded(tmp_path: Path) -> None:
    """Many small files are an attack, too; none at all is a mistake in the command."""
    for number in range(300):
        Descriptor(f"i{number}-image").write(tmp_path)
    with pytest.raises(LimitError, match="more than 256"):
        descriptor.read_directory(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        descriptor.read_directory(tmp_path / "none")


def test_an_error_shows_no_strangers_escapes(tmp_path: Path) -> None:
    """A file name is a stranger's text: it reaches no terminal as it is."""
    (tmp_path / "image-\x1b[31m::error::x.env").write_bytes(WEB)
    (_, wrong) = descriptor.read_directory(tmp_path)

    assert "\x1b" not in "".join(map(str, wrong))


def test_the_example_in_the_types(tmp_path: Any) -> None:
    """Writing twice changes nothing."""
    first = Descriptor("web-image").write(tmp_path).stat().st_size
    assert first == Descriptor("web-image").write(tmp_path).stat().st_size
