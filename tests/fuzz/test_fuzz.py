"""Every reader under a little fire, the same each time; `./dev fuzz` gives it more. And what once broke one."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from tests.fuzz import corpus
from tests.fuzz.engine import documents
from tests.fuzz.target import BrokenError, Target
from tests.fuzz.targets import TARGETS

from ec_closure.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable

# What broke a reader once, or an engine of ours; named after what was wrong.
_NO_MEMORY = zlib.decompress(
    base64.b64decode(
        "eNoLDvTJLElVSMsvyk0sUTBmYGIAAgcFBQYqAlYgZoSyGX8zjIJBA1hHg2AUjIJRMApGKOAFYmZQvdzBIMGwZjQ8Bgr8B4JIhjwAu4gM2A=="
    )
)
CRASHERS: dict[str, tuple[str, bytes]] = {
    "a database for which SQLite wants all memory": ("store-db", _NO_MEMORY),
    "a mount without a number": ("mountinfo", b" 35 98:0 / /nix/store rw - ext4 /dev/root rw"),
    "a mount of very large number": ("mountinfo", b"9" * 5000 + b" 35 98:0 / /nix/store rw - ext4 /dev/root rw"),
    "a key of a very long name": (
        "tuf",
        json.dumps({"signed": {"_type": "root", "keys": {"k" * 20_000: {"keytype": "rsa", "scheme": "rsa"}}}}).encode(),
    ),
    "a number too long for Python, in a policy": ("policy", b"[freshness]\nmax_lag = " + b"9" * 5000),
    "a number too long for Python, in a configuration": ("config", b"[rebuild]\njobs = " + b"9" * 5000),
    "a hexadecimal number without end": ("config", b"[rebuild]\njobs = 0x" + b"f" * 60_000),
    "arrays in arrays": ("policy", b"a = " + b"[" * 60_000),
    "a key of many parts": ("policy", b"a." * 1500 + b"a = 1"),
    "half a character, as JSON spells it": (
        "tuf",
        json.dumps({"signed": {"_type": "root", "keys": {"\ud800": {}}}}).encode(),
    ),
    "a frame that claims half a gigabyte": ("manifest", bytes.fromhex("28b52ffda000000020010000")),
    "a derivation of brackets": ("derivation", b"Derive([" + b"(" * 60_000),
    "a store directory of two lines": (
        "derivation",
        b'Derive([("out","/a\\nb/' + b"0" * 32 + b'-x","","")],[],["/b/' + b"0" * 32 + b'-x"],"","",[],[])',
    ),
    "a store path with a carriage return": (
        "manifest",
        (Path(__file__).parents[1] / "ec_closure/data/example.closure.json")
        .read_bytes()
        .replace(b"/nix/store/a", b"/nix/st\\re/a"),
    ),
    "menus of variables without end": ("grub", b"${" * 30_000),
    "menus in menus": ("grub", b"submenu {" * 7_000),
    "a default of brackets": ("loader-entry", b"default " + b"[" * 60_000),
    "an event of brackets": ("events", b"@nix " + b"[" * 60_000),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_under_fire_refuses_by_name_or_keeps_its_word(name: str) -> None:
    """Only errors of its own branch, of one line; what it accepts holds together."""
    target = TARGETS[name]
    inputs = documents(target, Random(20_261_124))
    accepted = sum(target.fire(next(inputs)) for _ in range(target.suite))
    assert 0 < accepted


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_made_as_valid_is_accepted(name: str) -> None:
    """Otherwise the damage would begin with documents that are refused at the door."""
    target = TARGETS[name]
    random = Random(7)
    assert any(target.fire(target.make(random)) for _ in range(20))


@pytest.mark.parametrize("what", CRASHERS)
def test_what_once_broke_a_reader_does_not_any_more(what: str) -> None:
    """Each was found by fire, or is what its finders try first."""
    name, data = CRASHERS[what]
    TARGETS[name].fire(data)


@pytest.mark.nix
def test_what_nix_itself_wrote_is_accepted() -> None:
    """Archives, narinfo files, derivations and its own chatter."""
    written = corpus.real()
    assert written.keys() >= {"nar", "narinfo", "derivation", "events"}
    for name, examples in written.items():
        assert [True] * len(examples) == [TARGETS[name].fire(data) for data in examples], name


def _raise(error: BaseException) -> Callable[[bytes], None]:
    def read(_data: bytes) -> None:
        raise error

    return read


@pytest.mark.parametrize("error", [BadInputError("two\nlines"), BadInputError("x" * 20_000), ValueError("untyped")])
def test_fire_notices_what_no_reader_may_do(error: Exception) -> None:
    """Untyped errors, messages of several lines, messages without end: a target that lets them pass finds nothing."""
    broken = Target("broken", _raise(error), lambda _random: b"", lambda _random, data: data, (BadInputError,))
    with pytest.raises((BrokenError, ValueError)):
        broken.fire(b"")


def test_the_table_in_the_documentation_names_every_format_from_outside() -> None:
    """Whoever adds a reader puts it under fire and says so."""
    text = (Path(__file__).parents[2] / "docs" / "robustness.md").read_text()
    assert [name for name in TARGETS if f"| {name} |" not in text and f"`{name}`" not in text] == []
