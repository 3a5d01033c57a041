from __future__ import annotations

import base64
import hashlib
import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ec_closure import canonical, manifest, manifest_rules, nix32
from ec_closure.canonical import CompressionError, NotCanonicalError
from ec_closure.errors import BadInputError, EcError, LimitError
from ec_closure.manifest import (
    Artifact,
    BootFile,
    Builder,
    FlakeInput,
    Manifest,
    PathRecord,
    Release,
    Source,
    System,
)
from ec_closure.manifest_rules import ManifestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def digest(seed: str) -> bytes:
    """Return a digest of its own for every *seed*."""
    return hashlib.sha256(seed.encode()).digest()


def sri(seed: str) -> str:
    """Return a NAR hash."""
    return "sha256-" + base64.b64encode(digest(seed)).decode()


def path(name: str, store_dir: str = "/nix/store") -> str:
    """Return a store path whose hash part begins with the first letter of *name*, so that names give the order."""
    return f"{store_dir}/{name[0]}{nix32.encode(digest(name)[:20])[1:]}-{name}"


A, B, C, D = (path(name) for name in ("a-system", "b-special", "c-glibc", "d-kernel"))
DRV = path("x.drv")

PATHS = (
    PathRecord(path=A, nar_hash=sri(A), nar_size=120, references=(1, 2, 3), deriver=DRV, output="out", origin="built"),
    PathRecord(path=B, nar_hash=sri(B), nar_size=120, references=(1, 2), deriver=DRV, output="dev", origin="built"),
    PathRecord(path=C, nar_hash=sri(C), nar_size=2**40, references=(2,), origin="substituted", cache="cache.test-1"),
    PathRecord(path=D, nar_hash=sri(D), nar_size=0, ca="fixed:r:sha256:abc", origin="copied"),
)
MANIFEST = Manifest(
    release=Release(tag="boot-v7", version=7, issued=1_700_000_000),
    source=Source(
        nar_hash=sri("source"),
        store_path=path("source"),
        rev="0" * 40,
        lock_hash="0" * 64,
        inputs={"nixpkgs": FlakeInput(nar_hash=sri("nixpkgs"), store_path=path("source-of-nixpkgs"))},
    ),
    system=System(
        name="ec-runner-x86_64",
        attr="nixosConfigurations.ec-runner-x86_64",
        platform="x86_64-linux",
        drv_path=DRV,
        out_path=A,
        specialisations={"safe": B},
    ),
    builder=Builder(nix="2.31.2", sandbox=True, platform="x86_64-linux"),
    paths=PATHS,
    contents=(PathRecord(path=path("f-extra"), nar_hash=sri("e"), nar_size=1, references=(2, 4), origin="copied"),),
    boot=(
        BootFile(name="initrd", store_path=C, sha256="1" * 64, size=1),
        BootFile(name="kernel", store_path=D, sha256="2" * 64, size=2),
    ),
    artifacts=(
        Artifact(name="netboot.tar", sha256="3" * 64, size=3, store_path=path("netboot"), attr="netboot"),
        Artifact(name="notes.txt", sha256="4" * 64, size=4),
    ),
)
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


OTHER_STORE = path("d-kernel", "/gnu/store")
BELOW = f"/nix/store/{path('d')[11:]}/lib/{'0' * 32}-x"


class TestRules:
    """What no type can say. Each violation is named with the place of the first offender."""

    @pytest.mark.parametrize(
        ("broken", "place", "message"),
        [
            (replace(MANIFEST, paths=PATHS[::-1]), "paths[1]", "out of order or stands twice"),
            (replace(MANIFEST, paths=(*PATHS[:2], PATHS[1], *PATHS[2:])), "paths[2]", "out of order or stands twice"),
            (with_paths(p3={"path": OTHER_STORE}), "paths[3]", "out of order"),
            (with_paths(p0={"path": path("a-system", "/gnu/store")}), "paths[0]", "is not in /nix/store"),
            (with_paths(p3={"path": BELOW}), "paths[3]", "is not in /nix/store"),
            (with_paths(p0={"references": (1, 2, 4)}), "paths[0]", "outside the list"),
            (with_paths(p3={"references": (4,)}), "paths[3]", "outside the list"),
            (with_paths(p1={"references": (-1, 2)}), "paths[1]", "outside the list"),
            (with_paths(p1={"references": (2, 1)}), "paths[1]", "out of order"),
            (with_paths(p1={"references": (1, 1, 2)}), "paths[1]", "out of order"),
            (with_paths(p1={"references": (2, 99, 2)}), "paths[1]", "out of order"),
            (with_paths(p0={"references": (1, 2)}), "paths[3]", "not reachable from the system"),
            (with_paths(p0={"references": ()}, p1={"references": (2,)}), "paths[3]", "not reachable"),
            (with_paths(p0={"references": (1, 2)}, p3={"references": (3,)}), "paths[3]", "not reachable"),
            (with_paths(p0={"output": None}), "paths[0]", "go together"),
            (with_paths(p2={"output": "out"}), "paths[2]", "go together"),
            (with_paths(p1={"output": None, "deriver": None}), "paths[1]", "without its derivation"),
            (with_paths(p1={"deriver": path("x.sh")}), "paths[1]: deriver", "no derivation in /nix/store"),
            (with_paths(p1={"deriver": path("x.drv", "/gnu/store")}), "paths[1]: deriver", "no derivation in"),
            (with_paths(p2={"cache": None}), "paths[2]", "name a cache"),
            (with_paths(p0={"cache": "cache.test-1"}), "paths[0]", "name a cache"),
            (replace(MANIFEST, paths=()), "contents[0]", "outside the list"),
            (replace(MANIFEST, paths=(), contents=()), "system: outPath", "not among the paths"),
            (replace(MANIFEST, contents=MANIFEST.contents * 2), "contents[1]", "stands twice"),
            (replace(MANIFEST, contents=(replace(PATHS[2], references=()),)), "contents[0]", "among the paths already"),
            (replace(MANIFEST, contents=(replace(PATHS[2], references=(5,)),)), "contents[0]", "outside the list"),
            (replace(MANIFEST, contents=(replace(PATHS[2], cache=None),)), "contents[0]", "name a cache"),
            (replace(MANIFEST, system=replace(MANIFEST.system, out_path=path("z"))), "system: outPath", "not among"),
            (
                replace(MANIFEST, system=replace(MANIFEST.system, specialisations={"s": path("z")})),
                "system: specialisations: s",
                "not among the paths",
            ),
            (replace(MANIFEST, system=replace(MANIFEST.system, drv_path=A)), "system: drvPath", "is no derivation"),
            (
                replace(MANIFEST, system=replace(MANIFEST.system, drv_path=path("x.drv", "/gnu"))),
                "system: drvPath",
                "is not in /nix/store",
            ),
            (
                replace(MANIFEST, source=replace(MANIFEST.source, store_path=path("source", "/gnu"))),
                "source: storePath",
                "is not in /nix/store",
            ),
            (
                replace(
                    MANIFEST,
                    source=replace(MANIFEST.source, inputs={"i": FlakeInput(nar_hash=sri("i"), store_path="/gnu" + A)}),
                ),
                "source: inputs: i",
                "is not in /nix/store",
            ),
            (
                replace(MANIFEST, boot=(replace(MANIFEST.boot[0], store_path=path("z")),)),
                "boot[0]",
                "not among the paths",
            ),
            (replace(MANIFEST, boot=MANIFEST.boot[::-1]), "boot[1]", "initrd is out of order or stands twice"),
            (replace(MANIFEST, boot=MANIFEST.boot[:1] * 2), "boot[1]", "initrd is out of order or stands twice"),
            (replace(MANIFEST, artifacts=MANIFEST.artifacts[::-1]), "artifacts[1]", "netboot.tar is out of order"),
            (replace(MANIFEST, artifacts=MANIFEST.artifacts[:1] * 2), "artifacts[1]", "or stands twice"),
            (
                replace(MANIFEST, artifacts=(replace(MANIFEST.artifacts[1], store_path="/gnu" + A),)),
                "artifacts[0]",
                "is not in /nix/store",
            ),
            *(
                (replace(MANIFEST, store_dir=store_dir), "storeDir", "is no store directory")
                for store_dir in ("/nix/store/", "nix/store", "/nix//store", "/nix/../store", "/nix/./store", "//nix")
            ),
            (replace(MANIFEST, store_dir="/"), "paths[0]", "is not in /"),
        ],
    )  # fmt: skip
    def test_a_violation_is_named_with_its_place(self, broken: Manifest, place: str, message: str) -> None:
        """By the decoder, with the file's name in front, and so by the encoder."""
        with pytest.raises(ManifestError) as caught:
            manifest.decode(published(broken), what="m.zst")

        assert caught.value.place == f"m.zst: {place}"
        assert message in caught.value.message
        with pytest.raises(ManifestError):
            manifest.encode(broken)

    def test_a_cycle_apart_is_unreachable(self) -> None:
        """Two paths that keep each other are in no closure."""
        paths = (PATHS[3], *(
            PathRecord(path=path(name), nar_hash=sri(name), nar_size=1, references=(1, 2), origin="copied")
            for name in ("f-one", "g-two")
        ))  # fmt: skip
        with pytest.raises(ManifestError, match="f-one is not reachable"):
            manifest_rules.check(replace(MINIMAL, paths=paths))

    def test_a_chain_as_long_as_a_closure_is_followed(self) -> None:
        """Fifty thousand references deep, without recursion."""
        names = sorted(f"/nix/store/{nix32.encode(digest(str(number))[:20])}-p" for number in range(50_000))
        link = replace(PATHS[3], ca=None)
        paths = tuple(replace(link, path=name, references=(at,)) for at, name in enumerate(names, 1))
        paths = (*paths[:-1], replace(paths[-1], references=()))
        document = replace(MINIMAL, system=replace(MINIMAL.system, out_path=names[0]), paths=paths)
        manifest_rules.check(document)

        middle = (*paths[:25_000], replace(paths[25_000], references=()), *paths[25_001:])
        with pytest.raises(ManifestError) as caught:
            manifest_rules.check(replace(document, paths=middle))
        assert caught.value.place == "manifest: paths[25001]"

    def test_too_many_paths_are_refused(self) -> None:
        """Before anything is done for each of them."""
        with pytest.raises(LimitError, match="lists 500001 paths where at most 500000"):
            manifest_rules.check(replace(MINIMAL, paths=PATHS[3:] * 500_001))


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
