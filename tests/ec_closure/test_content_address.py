from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.content_address import (
    ContentAddress,
    ContentAddressError,
    Method,
    recompute,
    source_store_path,
    store_path_of,
)
from ec_closure.hashes import DIGEST_SIZES, Hash
from ec_closure.nar.dump import dump
from ec_closure.nar.errors import TreeError
from ec_closure.nar.hash import hash_path
from ec_closure.nar.modulo import ModuloHasher
from ec_closure.store_db import StoreDatabase
from ec_closure.store_path import StorePath

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import NixStore

SHA256 = Hash.of("sha256", b"")
REFERENCE = "/nix/store/7zppdzywqpblqpqkznafbink14zmsrr7-dep"

# Prints its own path, so that it refers to itself, and depends on something else.
SELFISH = """
  derivation {
    name = "selfish"; system = builtins.currentSystem; builder = "/bin/sh";
    args = [ "-c" "echo $out ${builtins.toFile "dep" "dep"} > $out; printf $out$out >> $out" ];
  }
"""


class TestText:
    """How content addresses are written."""

    @given(st.sampled_from([("text", "sha256"), *((m, a) for m in ("flat", "recursive") for a in DIGEST_SIZES)]))
    def test_what_was_rendered_reads_back(self, of: tuple[Method, str]) -> None:
        """Every method with every algorithm that it can have."""
        method, algorithm = of
        ca = ContentAddress(method, Hash.of(algorithm, b"x"))

        assert ca == ContentAddress.parse(ca.render())

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "fixed",
            "fixed:",
            "fixed:r:",
            "text:",
            SHA256.nix32,
            f"r:{SHA256.nix32}",
            f"text:r:{SHA256.nix32}",
            f"fixed:r:r:{SHA256.nix32}",
            f"fixed:git:{SHA256.nix32}",
            f"FIXED:{SHA256.nix32}",
            f"fixed:{SHA256.sri}",
            f"fixed:sha256:{SHA256.base16[:-1]}",
            f"text:{Hash.of('sha1', b'').nix32}",
            f" fixed:{SHA256.nix32}",
        ],
    )
    def test_what_is_no_content_address_is_refused(self, text: str) -> None:
        """Unknown methods, missing hashes and SRI are not guessed at."""
        with pytest.raises(ContentAddressError):
            ContentAddress.parse(text)

    @given(st.text(max_size=100))
    def test_any_text_is_a_content_address_or_a_typed_error(self, text: str) -> None:
        """Strangers' text never raises anything but `ContentAddressError`."""
        for candidate in (text, f"fixed:{text}", f"text:sha256:{text}"):
            try:
                ContentAddress.parse(candidate)
            except ContentAddressError:
                continue


class TestStorePathOf:
    """Which references an address can have."""

    def test_only_sources_and_text_have_references(self) -> None:
        """A flat file or an MD5 tree with references is a path that Nix never makes."""
        for ca in (ContentAddress("flat", SHA256), ContentAddress("recursive", Hash.of("sha1", b""))):
            assert store_path_of(ca, "x").endswith("-x")
            with pytest.raises(ContentAddressError, match="cannot have references"):
                store_path_of(ca, "x", [REFERENCE])
            with pytest.raises(ContentAddressError, match="cannot have references"):
                store_path_of(ca, "x", self_reference=True)

    def test_text_cannot_refer_to_itself(self) -> None:
        """Its hash would depend on itself, and text has no rule for that."""
        with pytest.raises(ContentAddressError, match="refer to itself"):
            store_path_of(ContentAddress("text", SHA256), "x", self_reference=True)

    def test_every_part_changes_the_path(self) -> None:
        """Content, method, algorithm, name, references, self reference and store directory all count."""
        recursive = ContentAddress("recursive", SHA256)
        paths = {
            store_path_of(recursive, "x"),
            store_path_of(recursive, "y"),
            store_path_of(recursive, "x", [REFERENCE]),
            store_path_of(recursive, "x", self_reference=True),
            store_path_of(ContentAddress("recursive", Hash.of("sha256", b"other")), "x"),
            store_path_of(ContentAddress("recursive", Hash.of("sha512", b"")), "x"),
            store_path_of(ContentAddress("flat", SHA256), "x"),
            store_path_of(ContentAddress("text", SHA256), "x"),
            "/nix/store/" + store_path_of(recursive, "x", store_dir="/gnu/store").rpartition("/")[2],
        }

        assert len(paths) == 9

    def test_references_count_once_and_in_any_order(self) -> None:
        """They are a set."""
        other = REFERENCE.replace("7zpp", "0000")
        ca = ContentAddress("recursive", SHA256)

        assert store_path_of(ca, "x", [REFERENCE, other]) == store_path_of(ca, "x", [other, REFERENCE, other])


@pytest.mark.nix
class TestAgainstNix:
    """Every kind of content-addressed path that a real store makes, recomputed from its bytes."""

    @pytest.fixture(scope="class")
    def paths(self, nix_store: NixStore) -> list[str]:
        """Fill a store with content-addressed paths of every kind."""
        root = nix_store.root
        (root / "tree" / "bin").mkdir(parents=True)
        (root / "tree" / "bin" / "run").write_text("#!/bin/sh\n")
        (root / "tree" / "bin" / "run").chmod(0o755)
        (root / "tree" / "link").symlink_to("bin")
        (root / "file").write_bytes(b"content\0")
        paths = [nix_store.run("nix-store", "--add", name) for name in ("tree", "file")]
        for algorithm in DIGEST_SIZES:
            paths.append(nix_store.run("nix-store", "--add-fixed", algorithm, "file"))
            paths.append(nix_store.run("nix-store", "--add-fixed", "--recursive", algorithm, "tree"))
        expression = 'builtins.toFile "outer" "refers to ${builtins.toFile "inner" "nothing"} and ${./file}"'
        paths.append(nix_store.run("nix-instantiate", "--eval", "--read-write-mode", "-E", expression).strip('"'))
        paths += nix_store.instantiate(SELFISH)
        paths += nix_store.build("""
          derivation {
            name = "fixed"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "printf hi > $out" ];
            outputHash = "sha256-j0NDRmSPa5bfid2pAcUXaxCm2Dlh3TwayItZstwyeqQ=";
          }""")
        paths += nix_store.build("""
          derivation {
            name = "floating"; system = builtins.currentSystem; builder = "/bin/sh";
            args = [ "-c" "echo $out > $out" ];
            __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256";
          }""")
        [selfish] = nix_store.build(SELFISH)
        rewritten = nix_store.run("nix", "store", "make-content-addressed", "--json", selfish)
        return [*paths, json.loads(rewritten)["rewrites"][selfish]]

    def test_recomputed_paths_equal_the_real_ones(self, nix_store: NixStore, paths: list[str]) -> None:
        """Flat, recursive and text, with and without references, self references included (P6)."""
        seen = set()
        with StoreDatabase.open(nix_store.state_dir, store_dir=nix_store.store_dir) as database:
            for path in paths:
                info = database.path_info(path)
                assert info is not None
                assert info.ca is not None
                ca = ContentAddress.parse(info.ca)
                name = StorePath.parse(path, nix_store.store_dir).name
                seen.add((ca.method, ca.hash.algorithm, len(info.references), path in info.references))

                assert info.ca == ca.render()
                assert path == recompute(Path(path), ca, name, info.references, nix_store.store_dir)
        assert {
            ("text", "sha256", 1, False),
            ("text", "sha256", 2, False),
            ("recursive", "sha256", 0, False),
            ("recursive", "sha256", 1, True),
            ("recursive", "sha256", 2, True),
            *(("flat", algorithm, 0, False) for algorithm in DIGEST_SIZES),
            *(("recursive", algorithm, 0, False) for algorithm in DIGEST_SIZES),
        } == seen

    def test_the_declared_hash_is_not_believed(self, nix_store: NixStore, paths: list[str], tmp_path: Path) -> None:
        """Tampered bytes deserve another path, whatever the database's string says."""
        with StoreDatabase.open(nix_store.state_dir, store_dir=nix_store.store_dir) as database:
            for path in paths:
                info = database.path_info(path)
                assert info is not None
                assert info.ca is not None
                tampered = tmp_path / Path(path).name
                tampered.write_bytes(b"EVIL")
                declared = ContentAddress.parse(info.ca)
                name = StorePath.parse(path, nix_store.store_dir).name

                assert path != recompute(tampered, declared, name, info.references, nix_store.store_dir)

    def test_a_source_lies_where_its_nar_hash_says(self, nix_store: NixStore) -> None:
        """So that a locked flake input can be found, and refused, before it is evaluated (P24)."""
        (nix_store.root / "source").mkdir()
        (nix_store.root / "source" / "flake.nix").write_text("{ outputs = _: { }; }")
        nar_hash = hash_path(nix_store.root / "source").hash
        path = nix_store.run("nix-store", "--add", "source")

        assert path == source_store_path(nar_hash, store_dir=nix_store.store_dir)


class TestRecompute:
    """What the bytes deserve, beyond what real stores happen to hold."""

    def selfish(self, tmp_path: Path, positions: Callable[[tuple[Hash, Hash]], Hash]) -> Path:
        """Plant a path that refers to itself, addressed by one of the two rules."""
        hash_part = "0" * 32
        for _ in range(2):
            content = f"I am {hash_part}-selfish and {hash_part}{hash_part}"
            tree = tmp_path / f"{hash_part}-selfish"
            tree.write_text(content)
            hasher = ModuloHasher(hash_part)
            dump(tree, hasher.update)
            ca = ContentAddress("recursive", positions(hasher.finish()))
            path = store_path_of(ca, "selfish", self_reference=True)
            hash_part = path.rpartition("/")[2][:32]
        assert path == f"/nix/store/{tree.name}"
        return tree

    @pytest.mark.parametrize("rule", [0, 1], ids=["with positions", "without positions"])
    def test_self_references_by_either_rule(self, tmp_path: Path, rule: int) -> None:
        """Nix 2.17 to 2.34 hashed them otherwise: such paths are as good as others, and tampered ones as bad (P6)."""
        tree = self.selfish(tmp_path, lambda found: found[rule])
        own = f"/nix/store/{tree.name}"
        declared = ContentAddress("recursive", SHA256)

        assert own == recompute(tree, declared, "selfish", [own])
        assert own != recompute(tree, declared, "selfish", [])
        assert own != recompute(tree, declared, "selfish", [own, REFERENCE])
        tree.write_text(tree.read_text() + "!")
        assert own != recompute(tree, declared, "selfish", [own])

    def test_a_tree_may_lie_elsewhere_than_it_says(self, tmp_path: Path) -> None:
        """In a scratch layer, or a store that is mounted somewhere."""
        tree = self.selfish(tmp_path, lambda found: found[0])
        own = f"/nix/store/{tree.name}"
        moved = tree.rename(tmp_path / "elsewhere")

        assert own == recompute(
            moved, ContentAddress("recursive", SHA256), "selfish", [own], "/nix/store", own_path=own
        )

    @pytest.mark.parametrize("declared", ["text:", "fixed:", "fixed:r:sha1"])
    def test_a_self_reference_where_there_can_be_none(self, tmp_path: Path, declared: str) -> None:
        """A row that claims so contradicts itself."""
        tree = tmp_path / ("0" * 32 + "-x")
        tree.touch()
        ca = (
            ContentAddress("recursive", Hash.of("sha1", b""))
            if declared.endswith("sha1")
            else ContentAddress.parse(declared + SHA256.nix32)
        )

        with pytest.raises(ContentAddressError, match="refer to itself"):
            recompute(tree, ca, "x", [f"/nix/store/{tree.name}"])

    def test_a_directory_where_a_file_is_declared(self, tmp_path: Path) -> None:
        """No path at all is deserved by it."""
        for declared in (ContentAddress("text", SHA256), ContentAddress("flat", SHA256)):
            with pytest.raises(TreeError, match="not a regular file"):
                recompute(tmp_path, declared, "x")


class TestModuloHasher:
    """Finding one's own name in a stream that comes in pieces."""

    @given(st.lists(st.integers(0, 40), max_size=4), st.lists(st.integers(1, 50), min_size=1, max_size=5))
    def test_how_the_stream_is_cut_does_not_matter(self, gaps: list[int], cuts: list[int]) -> None:
        """An occurrence across two or more chunks is found like any other."""
        own = "7zppdzywqpblqpqkznafbink14zmsrr7"
        stream = b"".join(b"7zpp"[: gap % 5] + b"x" * gap + own.encode() for gap in gaps) + b"7zppdzy"
        whole, pieces = ModuloHasher(own), ModuloHasher(own)
        whole.update(stream)
        at = turn = 0
        while at < len(stream):
            cut = cuts[turn % len(cuts)]
            pieces.update(memoryview(stream)[at : at + cut])
            at, turn = at + cut, turn + 1

        expected = hashlib.sha256(stream.replace(own.encode(), bytes(32)))
        without = Hash("sha256", expected.digest())
        position = -1
        while (position := stream.find(own.encode(), position + 1)) >= 0:
            expected.update(f"|{position}".encode())
        assert (Hash("sha256", expected.digest()), without) == whole.finish() == pieces.finish()

    def test_zeroes_that_stand_in_the_bytes_are_not_taken_for_the_name(self) -> None:
        """What the positions are for: else anyone could swap a self reference for zeroes."""
        named, zeroed = ModuloHasher("a" * 32), ModuloHasher("a" * 32)
        named.update(b"x" + b"a" * 32)
        zeroed.update(b"x" + bytes(32))
        with_name, without_name = named.finish()
        with_zero, without_zero = zeroed.finish()

        assert with_name != with_zero
        assert without_name == without_zero
