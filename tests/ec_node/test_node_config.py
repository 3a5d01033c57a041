from __future__ import annotations

import re
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure import broadcast as broadcasts
from ec_closure.broadcast import Broadcast, PushTable
from ec_closure.errors import BadInputError
from ec_closure.record import Line
from ec_node import config, main

DOC = Path(__file__).parents[2] / "docs" / "ec-node.md"
ROW = re.compile(r"\| `(?P<key>[a-z_]+)` \| (?P<type>[^|]+) \| (?P<default>[^|]+) \| (?P<text>[^|]+) \|")
TABLES: dict[str, type[msgspec.Struct]] = {
    "A broadcast": Broadcast,
    "`[video]`": broadcasts.VideoTable,
    "`[audio]`": broadcasts.AudioTable,
    "`[hls]`": broadcasts.HlsTable,
    "`[push]`": broadcasts.PushTable,
    "ec-node.toml": config.Config,
    "`[ffmpeg]` in ec-node.toml": config.FfmpegTable,
    "`[origin]` in ec-node.toml": config.OriginTable,
    "`[archive]` in ec-node.toml": config.ArchiveTable,
    "`[push]` in ec-node.toml": config.PushTable,
    "`[supervision]` in ec-node.toml": config.SupervisionTable,
}
WORDS: dict[Any, str] = {
    config.Absolute: "absolute path",
    config.AbsoluteOrEmpty: "absolute path or empty",
    config.Host: "address of this machine",
    config.CrossOrigin: "origin, `*` or empty",
    broadcasts.BroadcastName: "name",
    broadcasts.FrameRate: "frame rate",
    broadcasts.PushAddress: "address",
    broadcasts.Token: "text",
    broadcasts.CredentialName: "name of a credential",
    Line: "text",
    bool: "true or false",
}


def rows(heading: str) -> dict[str, tuple[str, str]]:
    """Return type and default of each key in the table below *heading*."""
    found: dict[str, tuple[str, str]] = {}
    current = ""
    for line in DOC.read_text().splitlines():
        if line.startswith("#"):
            current = line.lstrip("# ")
        elif current == heading and (row := ROW.fullmatch(line)):
            found[row["key"]] = (row["type"].strip(), row["default"].strip())
    return found


def type_of(hint: Any) -> str:
    """Return how the document calls a type."""
    if hint in WORDS:
        return WORDS[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in arguments[:-1]) + f" or `{arguments[-1]}`"
    if origin is Annotated:
        (meta,) = arguments[1:]
        return f"number, {meta.ge} to {meta.le}"
    assert origin in (types.UnionType, typing.Union)
    return type_of(arguments[0])


def default_of(field: msgspec.structs.FieldInfo) -> str:
    """Return how the document writes a default."""
    if field.required:
        return "required"
    if field.default is None:
        return "none"
    if isinstance(field.default, bool):
        return f"`{field.default}`".lower()
    return f"`{field.default}`" if field.default != "" else "empty"


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_is_documented_as_it_is(heading: str) -> None:
    """No key is missing, none is invented, and types and defaults are those of the code."""
    kind = TABLES[heading]
    hints = get_type_hints(kind, include_extras=True)
    expected = {
        field.name: (type_of(hints[field.name]), default_of(field))
        for field in msgspec.structs.fields(kind)
        if not isinstance(field.default, msgspec.Struct) and (kind, field.name) != (Broadcast, "push")
    }

    assert expected == rows(heading)


def test_the_examples_are_valid() -> None:
    """What is shown can be copied."""
    examples = re.findall(r"```toml\n(.*?)```", DOC.read_text(), re.DOTALL)
    kinds = [text.splitlines()[0] for text in examples]

    assert kinds[:2] == ["# channel-4.toml", "# ec-node.toml"]
    assert "channel-4" == broadcasts.decode(examples[0].encode()).name
    assert config.decode(examples[1].encode()).archive.directory


def test_every_command_is_documented() -> None:
    """And none that is not there."""
    named = set(re.findall(r"ec-node (publish|check|discover|archive [a-z]+)\b", DOC.read_text()))

    assert {*main._COMMANDS, *(f"archive {name}" for name in main._ARCHIVE)} == named


@pytest.mark.parametrize(
    "text",
    [
        b"colour = 1",
        b"state_dir = 'relative'",
        b"[origin]\naddress = 'a b'",
        b"[origin]\nmemory = 1",
        b"[origin]\nallow_origin = 'evil'",
        b"[supervision]\nbackoff = 70",
        b"[push]\nattempts = 0",
        b"\xff",
        b"a = " + b"[" * 5000,
    ],
)
def test_what_is_no_configuration_is_refused(text: bytes) -> None:
    """With its place."""
    with pytest.raises(config.ConfigError) as caught:
        config.decode(text)

    assert caught.value.place is not None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_configuration_or_refused(data: bytes) -> None:
    """No other error comes out."""
    try:
        assert config.decode(data)
    except BadInputError as error:
        assert str(error).isprintable()  # noqa: PT017 - bytes may be valid, too


def test_a_secret_comes_from_a_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which systemd puts where only the unit can read it."""
    push = PushTable(url="http://a/", credential="origin-token")
    one = Broadcast(name="a", input="test:", push=push)
    (tmp_path / "origin-token").write_text("must-not-show\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert "must-not-show" == config.push_token(one)
    (tmp_path / "origin-token").write_text("a\r\nHost: b")
    with pytest.raises(config.ConfigError, match="one line"):
        config.push_token(one)
    (tmp_path / "origin-token").unlink()
    with pytest.raises(config.ConfigError, match="cannot be read"):
        config.push_token(one)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(config.ConfigError, match="systemd gave none"):
        config.push_token(one)


def test_the_files_are_checked_without_opening_the_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be far away."""
    (tmp_path / "a.toml").write_text('name = "a"\ninput = "hdhomerun://10A1B2C3/4.1"\n')
    (tmp_path / "n.toml").write_text("")

    assert 0 == main.run(["check", "--config", str(tmp_path / "n.toml")])
    assert 0 == main.run(["check", "--broadcast", str(tmp_path / "a.toml")])
    assert "is valid: a from hdhomerun://10A1B2C3/4.1" in capsys.readouterr().out


def test_an_input_is_opened_when_asked_for(tmp_path: Path, ffmpeg: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And what it holds is said, as text and as JSON."""
    assert ffmpeg
    (tmp_path / "a.toml").write_text('name = "a"\ninput = "test:"\n')
    (tmp_path / "b.toml").write_text(f'name = "b"\ninput = "file://{tmp_path}/a.toml"\n')

    assert 0 == main.run(["check", "--broadcast", str(tmp_path / "a.toml"), "--input", "--json"])
    assert b"rawvideo" in capsys.readouterr().out.encode()
    assert 3 == main.run(["check", "--broadcast", str(tmp_path / "b.toml"), "--input"])
    assert "it is nothing that ffmpeg can read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["archive"],
        ["what"],
        ["publish"],
        ["check", "--input"],
        ["check", "--broadcast", "/nowhere"],
        ["archive", "list"],
        ["archive", "record", "ftp://a/b", "--name", "a", "--directory", "/nowhere"],
        ["archive", "record", "http://a/b", "--name", "../a", "--directory", "."],
    ],
)
def test_what_makes_no_sense_is_refused_with_a_hint(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and what to do next."""
    assert 2 == main.run(words)
    assert "\n  hint: " in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    """Every command says what it does."""
    assert 0 == main.run(["--help"])
    text = capsys.readouterr().out
    assert all(name in text for name in (*main._COMMANDS, "archive"))
    assert 0 == main.run(["publish", "--help"])
