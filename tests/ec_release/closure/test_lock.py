"""flake.lock: what fixes each input, and what is refused because nothing would."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from ec_release.closure import lock
from ec_release.closure.errors import LockError

if TYPE_CHECKING:
    from pathlib import Path

_HASH = "sha256-RltK8S+grOxlMjdXuv39tY6DXaLO2so4T1J7RlA06Iw="
_PATH = "/nix/store/aycg0djqfpngmxj0yfbfq919zw1lvs40-source"


def _document(**nodes: Any) -> bytes:
    return json.dumps({"nodes": {"root": {"inputs": {}}, **nodes}, "root": "root", "version": 7}).encode()


def test_input_lies_where_its_hash_says() -> None:
    """The store path follows from narHash alone, whatever kind of input it is."""
    data = _document(nixpkgs={"locked": {"type": "github", "owner": "o", "rev": "r", "narHash": _HASH}})
    found = lock.decode(data)

    assert [("nixpkgs", _HASH, _PATH)] == [(one.name, one.nar_hash.sri, one.store_path) for one in found.inputs]
    assert hashlib.sha256(data).hexdigest() == found.sha256


def test_inputs_come_in_order() -> None:
    """The order of the file does not matter."""
    node = {"locked": {"type": "path", "path": "/x", "narHash": _HASH}}

    assert ["a", "b", "c"] == [one.name for one in lock.decode(_document(c=node, a=node, b=node)).inputs]


def test_directory_of_the_flake_itself_is_covered_by_it() -> None:
    """A relative path input has no hash of its own, and needs none."""
    assert () == lock.decode(_document(part={"locked": {"type": "path", "path": "./part"}})).inputs


def test_flake_without_a_lock_has_no_inputs(tmp_path: Path) -> None:
    """Absence is not an error."""
    assert lock.Lock(None, ()) == lock.read(tmp_path / "flake.lock")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_document(a={"locked": {"type": "path", "path": "/x"}}), "flake.lock: a: locked without a narHash"),
        (_document(a={}), "flake.lock: a: locked without a narHash"),
        (_document(a={"locked": {"narHash": "sha256-zzz"}}), "flake.lock: a: the base64 of a sha256 digest"),
        (_document().replace(b"7", b"8"), "flake.lock: version 8 is not understood"),
        (b'{"nodes": {}, "nodes": {}, "root": "root", "version": 7}', "flake.lock: the key 'nodes' stands twice"),
        (b"{}", "flake.lock: "),
        (b"\xff", "flake.lock: "),
        (b"[" * 100_000, "nested deeper"),
    ],
)
def test_lock_that_fixes_nothing_is_refused(data: bytes, message: str) -> None:
    """Malformed locks and unlocked inputs are told with their place."""
    with pytest.raises(LockError) as caught:
        lock.decode(data)

    assert message in str(caught.value)
