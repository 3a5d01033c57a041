from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from ec_closure import canonical, manifest, manifest_rules
from ec_closure.errors import LimitError
from ec_closure.manifest import Manifest
from ec_closure.manifest_rules import ManifestError

EXAMPLE = (Path(__file__).parent / "data" / "example.closure.json").read_bytes()
MANIFEST = msgspec.json.decode(EXAMPLE, type=Manifest)
PATHS = MANIFEST.paths
A, B, C, D = (record.path for record in PATHS)
INPUT = MANIFEST.source.inputs["nixpkgs"]


ALONE = replace(
    MANIFEST,
    system=replace(MANIFEST.system, out_path=D, specialisations={}),
    paths=PATHS[3:],
    contents=(),
    boot=(),
)


def path(name: str, store_dir: str = "/nix/store") -> str:
    """Return a store path whose hash part begins with the first letter of *name*, so that names give the order."""
    return f"{store_dir}/{name[0]}{'0' * 31}-{name}"


def published(document: Any) -> bytes:
    """Return the bytes of a manifest that nobody has checked."""
    return canonical.compress(msgspec.json.encode(document, order="sorted") + b"\n")


def with_paths(**changes: Any) -> Manifest:
    """Return the manifest after changes to its records: `p2={"output": "x"}` changes the third one."""
    paths = list(PATHS)
    for position, change in changes.items():
        paths[int(position[1:])] = replace(paths[int(position[1:])], **change)
    return replace(MANIFEST, paths=tuple(paths))


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
            (replace(MANIFEST, system=replace(MANIFEST.system, out_path=B)), "paths[0]", "not reachable"),
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
                replace(MANIFEST, source=replace(MANIFEST.source, inputs={"i": replace(INPUT, store_path="/gnu" + A)})),
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

    def test_what_may_be(self) -> None:
        """A path that refers to itself, paths that refer to each other, a system that is its own specialisation."""
        manifest_rules.check(MANIFEST)
        manifest_rules.check(with_paths(p0={"references": (0, 1, 2, 3)}, p3={"references": (0, 3)}))
        manifest_rules.check(replace(MANIFEST, system=replace(MANIFEST.system, specialisations={"same": A})))

    def test_a_cycle_apart_is_unreachable(self) -> None:
        """Two paths that keep each other are in no closure."""
        paths = (PATHS[3], *(
            replace(PATHS[3], path=path(name), references=(1, 2))
            for name in ("f-one", "g-two")
        ))  # fmt: skip
        with pytest.raises(ManifestError, match="f-one is not reachable"):
            manifest_rules.check(replace(ALONE, paths=paths))

    def test_a_chain_as_long_as_a_closure_is_followed(self) -> None:
        """Fifty thousand references deep, without recursion."""
        names = sorted(f"/nix/store/{number:032}-link" for number in range(50_000))
        link = replace(PATHS[3], ca=None)
        paths = tuple(replace(link, path=name, references=(at,)) for at, name in enumerate(names, 1))
        paths = (*paths[:-1], replace(paths[-1], references=()))
        document = replace(ALONE, system=replace(ALONE.system, out_path=names[0]), paths=paths)
        manifest_rules.check(document)

        middle = (*paths[:25_000], replace(paths[25_000], references=()), *paths[25_001:])
        with pytest.raises(ManifestError) as caught:
            manifest_rules.check(replace(document, paths=middle))
        assert caught.value.place == "manifest: paths[25001]"

    def test_too_many_paths_are_refused(self) -> None:
        """Before anything is done for each of them."""
        with pytest.raises(LimitError, match="lists 500001 paths where at most 500000"):
            manifest_rules.check(replace(ALONE, paths=PATHS[3:] * 500_001))
        with pytest.raises(ManifestError, match="stands twice"):
            manifest_rules.check(replace(ALONE, paths=PATHS[3:] * 500_000))
