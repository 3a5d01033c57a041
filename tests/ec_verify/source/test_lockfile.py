"""Which trees a lock file pins, and what no lock file may say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.content_address import source_store_path
from ec_closure.errors import BadInputError, LimitError
from ec_closure.hashes import Hash
from ec_verify.source.lockfile import MAX_BYTES, LockError, UnlockedError, locked_inputs

if TYPE_CHECKING:
    from tests.conftest import NixStore

STORE = "/nix/store"
SRI = Hash.of("sha256", b"tree").sri


def lock(nodes: dict[str, Any], *, version: Any = 7, root: str = "root") -> bytes:
    """Return a lock file with *nodes* beside a root that needs them."""
    return msgspec.json.encode({"version": version, "root": root, "nodes": {"root": {"inputs": {}}} | nodes})


def pinned(**changes: Any) -> dict[str, Any]:
    """Return a node that is pinned."""
    return {"locked": {"type": "github", "owner": "x", "lastModified": 1, "narHash": SRI} | changes}


@pytest.mark.parametrize("version", [5, 6, 7])
def test_each_version_in_use_is_read(version: int) -> None:
    """All flakes since 2020."""
    found = locked_inputs(lock({"b": pinned(), "a": pinned()}, version=version), STORE)

    assert [("a", SRI), ("b", SRI)] == [(one.name, one.nar_hash.sri) for one in found]
    assert source_store_path(Hash.parse(SRI)) == found[0].store_path


@pytest.mark.parametrize("version", [4, 8, 0, -7, "7", 7.5, None])
def test_other_versions_are_refused(version: object) -> None:
    """A format that is not known pins who knows what."""
    with pytest.raises(BadInputError, match=r"flake\.lock"):
        locked_inputs(lock({}, version=version), STORE)


def test_a_lock_without_inputs_pins_nothing() -> None:
    """A flake may need nothing."""
    assert [] == locked_inputs(lock({}), STORE)


def test_the_root_is_no_input_whatever_it_is_called() -> None:
    """Its node holds no lock."""
    data = msgspec.json.encode({"version": 7, "root": "top", "nodes": {"top": {}, "root": pinned()}})

    assert ["root"] == [one.name for one in locked_inputs(data, STORE)]


def test_a_lock_whose_root_is_not_there_is_refused() -> None:
    """Nix would have nothing to start from."""
    with pytest.raises(LockError, match="'nowhere' is not among the nodes"):
        locked_inputs(lock({}, root="nowhere"), STORE)


@pytest.mark.parametrize(
    "node",
    [
        {},
        {"locked": {}},
        {"locked": None},
        {"locked": {"type": "github", "rev": "0" * 40}},
        {"locked": {"type": "path", "path": "/srv/tree"}},
        {"locked": {"type": "path"}},
        {"locked": {"type": "tarball", "narHash": None}},
        {"locked": {"type": "tarball", "narHash": 7}},
        {"locked": {"type": "tarball", "narHash": [SRI]}},
    ],
)
def test_an_input_that_no_hash_pins_is_refused_by_its_name(node: dict[str, Any]) -> None:
    """What is not pinned by content can be anything by the time it is evaluated."""
    with pytest.raises(UnlockedError, match="not pinned by a narHash") as caught:
        locked_inputs(lock({"loose": node}), STORE)

    assert ("flake.lock: loose", "run nix flake lock") == (caught.value.place, caught.value.hint)


@pytest.mark.parametrize("path", ["./sub", "sub", "../sibling", ""])
def test_an_input_inside_its_parent_is_hashed_with_it(path: str) -> None:
    """Relative path inputs have no tree of their own."""
    assert [] == locked_inputs(lock({"sub": {"locked": {"type": "path", "path": path}, "parent": []}}), STORE)


def test_a_relative_input_with_a_hash_is_held_to_it() -> None:
    """Where a hash is written, it counts."""
    data = lock({"sub": {"locked": {"type": "path", "path": "./sub", "narHash": SRI}}})

    assert ["sub"] == [one.name for one in locked_inputs(data, STORE)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no algorithm"),
        ("sha256-", "characters"),
        (SRI[:-2] + "==", "stray bits"),
        (f"sha256-{chr(39) * 43}=", "not base64"),
        ("sha1-" + "A" * 27 + "=", "sha1"),
        ("sha512-" + "A" * 86 + "==", "not by sha256"),
        ("md5:" + "0" * 32, "not by sha256"),
        ("rot13-abc", "unknown hash algorithm"),
    ],
)
def test_a_hash_that_is_none_is_refused_with_its_place(text: str, said: str) -> None:
    """The place names file and input."""
    with pytest.raises(LockError, match=said) as caught:
        locked_inputs(lock({"dep": pinned(narHash=text)}), STORE)

    assert "flake.lock: dep" == caught.value.place


def test_equal_keys_are_refused() -> None:
    """Two nodes of one name could be read as either."""
    node = msgspec.json.encode(pinned()).decode()
    data = f'{{"version":7,"root":"root","nodes":{{"root":{{}},"a":{node},"a":{node}}}}}'.encode()

    with pytest.raises(BadInputError, match="stands twice"):
        locked_inputs(data, STORE)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_documents_are_refused_without_recursion(opening: str) -> None:
    """Depth is up to whoever writes the file."""
    data = b'{"version":7,"root":"root","nodes":{"root":{"inputs":' + opening.encode() * 100_000

    with pytest.raises(LimitError, match="deeper"):
        locked_inputs(data, STORE)


def test_large_files_are_refused() -> None:
    """A lock file is small."""
    with pytest.raises(LimitError):
        locked_inputs(b" " * (MAX_BYTES + 1), STORE)


@given(st.binary(max_size=60) | st.recursive(st.none() | st.text(max_size=5), st.lists).map(msgspec.json.encode))
def test_garbage_is_refused_as_what_it_is(garbage: bytes) -> None:
    """Whatever lies there: an error that names the file."""
    with pytest.raises(BadInputError, match=r"flake\.lock"):
        locked_inputs(garbage, STORE)


@pytest.mark.nix
def test_the_store_path_is_the_one_that_nix_uses(nix_store: NixStore) -> None:
    """A tree that Nix adds as a source lies where its narHash says."""
    tree = nix_store.root / "source"
    tree.mkdir(exist_ok=True)
    (tree / "default.nix").write_text("{ }\n")
    path = nix_store.run("nix-store", "--add", tree)
    nar_hash = nix_store.run("nix", "hash", "path", tree)

    (found,) = locked_inputs(lock({"dep": pinned(narHash=nar_hash)}), nix_store.store_dir)

    assert path == found.store_path
