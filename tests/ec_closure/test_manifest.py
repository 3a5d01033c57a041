from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ec_closure import canonical, manifest
from ec_closure.canonical import CompressionError, NotCanonicalError
from ec_closure.errors import BadInputError, EcError, LimitError
from ec_closure.manifest import (
    FlakeInput,
    Manifest,
    PathRecord,
    Release,
    Source,
    System,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


EXAMPLE = (Path(__file__).parent / "data" / "example.closure.json").read_bytes()
MANIFEST = msgspec.json.decode(EXAMPLE, type=Manifest)
PATHS = MANIFEST.paths
A, B, C, D = (record.path for record in PATHS)
DRV = MANIFEST.system.drv_path


def sri(seed: str) -> str:
    """Return a NAR hash."""
    return "sha256-" + base64.b64encode(hashlib.sha256(seed.encode()).digest()).decode()


def path(name: str, store_dir: str = "/nix/store") -> str:
    """Return a store path whose hash part begins with the first letter of *name*, so that names give the order."""
    return f"{store_dir}/{name[0]}{'0' * 31}-{name}"


MINIMAL = Manifest(
    release=MANIFEST.release,
    source=Source(nar_hash=sri("source"), store_path=path("source")),
    system=System(name="s", attr="s", platform="x86_64-linux", drv_path=DRV, out_path=D),
    builder=MANIFEST.builder,
    paths=(PATHS[3],),
)


def published(document: Any) -> bytes:
    """Return the bytes of a manifest that nobody has checked."""
    return canonical.compress(msgspec.json.encode(document, order="sorted") + b"\n")


def with_paths(**changes: Any) -> Manifest:
    """Return the manifest after changes to its records: `p2={"output": "x"}` changes the third one."""
    paths = list(PATHS)
    for position, change in changes.items():
        paths[int(position[1:])] = replace(paths[int(position[1:])], **change)
    return replace(MANIFEST, paths=tuple(paths))


class TestBytes:
    """One manifest, one file."""

    def test_the_format_stays_what_it_is(self) -> None:
        """A manifest with everything in it, as published long ago, is read, and would be written the same today."""
        assert canonical.encode(MANIFEST) == EXAMPLE
        assert manifest.decode(canonical.compress(EXAMPLE)) == MANIFEST

    @pytest.mark.parametrize("document", [MANIFEST, MINIMAL], ids=["everything", "nothing but what must be"])
    def test_reads_what_it_writes(self, document: Manifest) -> None:
        """And writes the same bytes again."""
        data = manifest.encode(document)

        assert manifest.decode(data) == document
        assert manifest.encode(manifest.decode(data)) == data

    def test_the_document_is_plain_json(self) -> None:
        """Sorted keys in camel case, the schema named, what is not there left out."""
        raw = canonical.decompress(manifest.encode(MINIMAL), what="", max_bytes=1 << 20)

        assert json.loads(raw) == {
            "builder": {"nix": "2.31.2", "platform": "x86_64-linux", "sandbox": True},
            "paths": [
                {"ca": "fixed:r:sha256:abc", "narHash": sri(D), "narSize": 0, "origin": "copied", "path": D},
            ],
            "release": {"issued": 1_700_000_000, "tag": "boot-v7", "version": 7},
            "schema": "ec-runner.closure-manifest.v1",
            "source": {"narHash": sri("source"), "storePath": path("source")},
            "system": {"attr": "s", "drvPath": DRV, "name": "s", "outPath": D, "platform": "x86_64-linux"},
        }
        assert raw == json.dumps(json.loads(raw), sort_keys=True, separators=(",", ":")).encode() + b"\n"

    def test_the_order_of_making_does_not_show(self) -> None:
        """Dictionaries filled the other way round, texts put together at run time: the same bytes."""
        source = replace(
            MANIFEST.source,
            inputs={
                "b": MANIFEST.source.inputs["nixpkgs"],
                "a": FlakeInput(nar_hash=sri("a"), store_path=path("source-a")),
            },
        )
        other = replace(source, inputs=dict(reversed(source.inputs.items())))
        store_dir = str(PurePosixPath("/", "nix", "store"))

        assert manifest.encode(replace(MANIFEST, source=source)) == manifest.encode(
            replace(MANIFEST, source=other, store_dir=store_dir)
        )

    def test_another_store_directory_is_spelled_out(self) -> None:
        """And then holds for every path."""
        text = msgspec.json.encode(MINIMAL).decode().replace("/nix/store/", "/gnu/store/")
        document = replace(msgspec.json.decode(text, type=Manifest), store_dir="/gnu/store")

        assert manifest.decode(manifest.encode(document)).store_dir == "/gnu/store"

    @pytest.mark.parametrize(
        "change",
        [
            lambda d: d.update(storeDir="/nix/store"),
            lambda d: d.update(contents=[]),
            lambda d: d["paths"][0].update(references=[]),
            lambda d: d["paths"][0].update(deriver=None),
            lambda d: d["source"].update(inputs={}),
            lambda d: d["source"].update(rev=None),
            lambda d: d.pop("schema"),
        ],
    )
    def test_a_spelled_out_default_is_refused(self, change: Callable[[dict[str, Any]], object]) -> None:
        """It would be the same manifest with another digest; so would one that does not name its schema."""
        document = msgspec.to_builtins(MINIMAL)
        assert manifest.decode(published(document)) == MINIMAL
        change(document)
        with pytest.raises(NotCanonicalError):
            manifest.decode(published(document))

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b'{"artifacts"', b'{ "artifacts"'),
            (b'"schema":', b'"schema": '),
            (b'"version":7', b'"version":7,"version":7'),
            (b'"version":7', b'"version":8,"version":7'),
            (b'"tag":"boot-v7","version":7', b'"version":7,"tag":"boot-v7"'),
            (b"boot-v7", rb"boot\u002dv7"),
            (b'"version":7', b'"version":7.0'),
            (b"\n", b""),
        ],
        ids=["blank", "blank before a value", "key twice", "key twice, last wins", "order", "escape", "7.0", "no end"],
    )
    def test_another_spelling_is_refused(self, old: bytes, new: bytes) -> None:
        """Else a digest would not name a document."""
        raw = canonical.encode(MANIFEST)
        assert raw.count(old) == 1
        with pytest.raises(BadInputError):
            manifest.decode(canonical.compress(raw.replace(old, new)))

    def test_what_could_not_be_read_is_not_written(self) -> None:
        """A publisher learns of it, not its nodes."""
        for broken in (
            replace(MANIFEST, release=Release(tag="two\nlines", version=7, issued=0)),
            replace(MANIFEST, release=Release(tag="x" * 1025, version=7, issued=0)),
            with_paths(p3={"nar_size": -1}),
            with_paths(p3={"origin": "guessed"}),
            with_paths(p0={"references": (1, 2, 9)}),
        ):
            with pytest.raises(BadInputError):
                manifest.encode(broken)

    @given(st.lists(st.lists(st.integers(0, 30), max_size=4), min_size=1, max_size=12))
    def test_any_closure_reads_back(self, edges: Sequence[Sequence[int]]) -> None:
        """Cycles and self references included."""
        count = len(edges)
        names = sorted(path(f"{letter}-{letter}") for letter in "0123456789abcdfg"[:count])
        records = tuple(
            PathRecord(
                path=name,
                nar_hash=sri(name),
                nar_size=position,
                references=tuple(sorted({edge % count for edge in targets} | {(position + 1) % count})),
                origin="copied",
            )
            for position, (name, targets) in enumerate(zip(names, edges, strict=True))
        )
        document = replace(MINIMAL, system=replace(MINIMAL.system, out_path=names[-1]), paths=records)

        assert manifest.decode(manifest.encode(document)) == document
        assert document.index() == {name: position for position, name in enumerate(names)}
        assert document.references_of(records[0]) == tuple(names[edge] for edge in records[0].references)

    def test_contents_refer_to_paths_and_to_each_other(self) -> None:
        """Their positions go on where those of the paths end."""
        extra = MANIFEST.contents[0]

        assert MANIFEST.references_of(extra) == (C, extra.path)
        assert MANIFEST.references_of(PATHS[0]) == (B, C, D)


class TestTypes:
    """What the types say."""

    @pytest.mark.parametrize(
        ("change", "place"),
        [
            (lambda d: d.update(schema="ec-runner.closure-manifest.v2"), "schema"),
            (lambda d: d.update(signature="x"), ""),
            (lambda d: d["paths"][1].update(narhash="x"), "paths[1]"),
            (lambda d: d["paths"][1].pop("narHash"), "paths[1]"),
            (lambda d: d["paths"][1].update(narSize="1"), "paths[1].narSize"),
            (lambda d: d["paths"][1].update(narSize=-1), "paths[1].narSize"),
            (lambda d: d["paths"][1].update(narSize=2**53 + 1), "paths[1].narSize"),
            (lambda d: d["paths"][1].update(narSize=1.5), "paths[1].narSize"),
            (lambda d: d["paths"][1].update(origin="found"), "paths[1].origin"),
            (lambda d: d["paths"][1].update(references=["1"]), "paths[1].references[0]"),
            (lambda d: d["paths"][1].update(references=[True]), "paths[1].references[0]"),
            (lambda d: d["release"].update(version=0), "release.version"),
            (lambda d: d["release"].update(tag=""), "release.tag"),
            (lambda d: d["release"].update(tag="two\nlines"), "release.tag"),
            (lambda d: d["release"].update(tag="line\n"), "release.tag"),
            (lambda d: d["release"].update(tag="\x1b[31m"), "release.tag"),
            (lambda d: d["source"].update(lockHash="A" * 64), "source.lockHash"),
            (lambda d: d["source"].update(lockHash="a" * 64 + "\n"), "source.lockHash"),
            (lambda d: d["boot"][0].update(sha256="a" * 63), "boot[0].sha256"),
            (lambda d: d["system"].update(specialisations={"a": "b"}), "system.specialisations[...]"),
        ],
    )  # fmt: skip
    def test_a_wrong_type_is_named_with_its_place(self, change: Callable[[Any], object], place: str) -> None:
        """The place inside the document follows its name."""
        document = msgspec.to_builtins(MANIFEST)
        change(document)
        with pytest.raises(BadInputError) as caught:
            manifest.decode(published(document))

        assert caught.value.place == f"manifest: {place}".removesuffix(": ")

    @pytest.mark.parametrize(
        "text",
        [
            D + "\n",
            D.removeprefix("/"),
            D[:40],
            D.replace("-", "_", 1),
            D.replace("d-kernel", "d kernel"),
            "/nix/store/" + "e" * 32 + "-x",
            "/nix/store/" + "A" * 32 + "-x",
            "/nix/store/" + "a" * 32 + "-",
            "/nix/store/" + "a" * 32 + "-" + "x" * 212,
            "/" + "x" * 4096 + D,
            D + "/bin",
            D + "\0",
            "/nix\n/store/" + "a" * 32 + "-x",
            "",
        ],
    )
    def test_what_is_no_store_path_is_refused(self, text: str) -> None:
        """Also with nothing wrong but a newline at the end, which `$` in a pattern would let through."""
        document = msgspec.to_builtins(MINIMAL)
        document["source"]["storePath"] = text
        with pytest.raises(BadInputError, match=r"manifest: source\.storePath"):
            manifest.decode(published(document))

    @pytest.mark.parametrize(
        "text",
        [
            sri("x") + "\n",
            " " + sri("x"),
            sri("x").replace("sha256", "sha512"),
            sri("x")[:-1],
            sri("x").replace("=", "=="),
            "sha256:" + "0" * 52,
            "sha256-" + "A" * 42 + "B=",
            "sha256-" + "-" * 43 + "=",
        ],
    )
    def test_what_is_no_hash_is_refused(self, text: str) -> None:
        """Hashes are compared as texts, so that a digest must have one: spare bits are zero."""
        document = msgspec.to_builtins(MINIMAL)
        document["paths"][0]["narHash"] = text
        with pytest.raises(BadInputError, match=r"manifest: paths\[0\]\.narHash"):
            manifest.decode(published(document))


class TestStrangers:
    """Files that are no manifests."""

    def test_a_manifest_may_be_cut_nowhere_and_nothing_may_follow(self) -> None:
        """A download that ended early, or went on."""
        data = manifest.encode(MANIFEST)
        for length in range(len(data)):
            with pytest.raises(CompressionError):
                manifest.decode(data[:length])
        with pytest.raises(CompressionError):
            manifest.decode(data + b"\n")

    def test_a_bomb_is_refused(self) -> None:
        """By what it states to hold, before it is unpacked."""
        with pytest.raises(LimitError, match="holds 536870913 bytes where at most 536870912"):
            manifest.decode(canonical.compress(bytes(manifest.MAX_DECODED + 1)))

    def test_a_large_file_is_refused_unread(self) -> None:
        """By its size alone."""
        with pytest.raises(LimitError, match="x: 67108865 bytes"):
            manifest.decode(bytes(manifest.MAX_COMPRESSED + 1), what="x")
        with pytest.raises(CompressionError):
            manifest.decode(bytes(manifest.MAX_COMPRESSED))

    @pytest.mark.parametrize(
        "raw",
        [
            b"null\n",
            b"[]\n",
            b"{}\n",
            b"[" * 100_000,
            b'{"paths":' + b"[" * 100_000,
            b'{"paths":[{"references":' + b"[" * 100_000,
            b'{"source":{"inputs":' + b'{"a":' * 100_000,
        ],
    )
    def test_another_document_is_refused(self, raw: bytes) -> None:
        """However deep it is."""
        with pytest.raises(BadInputError):
            manifest.decode(canonical.compress(raw))

    @given(st.binary(max_size=300), st.integers(0, 2000), st.integers(0, 7))
    def test_any_bytes_are_refused_with_an_error_of_ours(self, noise: bytes, at: int, bit: int) -> None:
        """Noise as it is, noise inside the frame, and a manifest with one bit changed."""
        flipped = bytearray(canonical.encode(MANIFEST))
        flipped[at % len(flipped)] ^= 1 << bit
        for data in (noise, canonical.compress(b"x" + noise)):
            with pytest.raises(EcError):
                manifest.decode(data)
        try:
            assert manifest.decode(canonical.compress(bytes(flipped))) != MANIFEST
        except EcError:
            return
