"""Images are built twice, by real Nix in two stores, compared byte by byte, and packed."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ec_netboot.staging import archive
from ec_release.boot_images.room import remove

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_release.boot_images.flake import Flake

    Command = Callable[..., tuple[int, str, str]]

pytestmark = [pytest.mark.nix, pytest.mark.root, pytest.mark.usefixtures("nix_conf")]
CHANCE = "cat ${tools} > $out; cat /proc/sys/kernel/random/uuid >> $out"


@pytest.fixture
def build(repository: Flake, command: Command, tmp_path: Path) -> Callable[..., tuple[int, dict[str, Any], str]]:
    """Give a function that builds a target: exit code, result, and what was said."""

    def run(name: str, *arguments: Any, output: str = "dist") -> tuple[int, dict[str, Any], str]:
        code, out, err = command(
            *("build", name, "--flake", repository.top, "--tag", "boot-v7", "--output", tmp_path / output),
            *("--stores", tmp_path / "stores", "--json", *arguments),
        )
        return code, json.loads(out) if out else {}, err

    return run


def test_a_netboot_image_is_packed_as_it_is_staged(
    build: Callable[..., Any], repository: Flake, tmp_path: Path
) -> None:
    """The boot server unpacks it, and finds what the flake built; the name says tag and commit."""
    code, told, _ = build("runner-netboot")

    assert (0, True, []) == (code, told["identical"], told["differing_paths"])
    name = f"runner-netboot-boot-v7-{repository.git('rev-parse', 'HEAD')[:12]}.tar.zst"
    assert [name] == [file.name for file in (tmp_path / "dist").iterdir()]
    packed = tmp_path / "dist" / name
    assert (told["file"], told["size"]) == (name, packed.stat().st_size)
    assert hashlib.sha256(packed.read_bytes()).hexdigest() == told["sha256"]
    (tmp_path / "staged").mkdir()
    with packed.open("rb") as stream:
        found = archive.unpack(stream, tmp_path / "staged", what="image")
    assert {"initrd", "kernel", "netboot.ipxe"} == found.keys()
    assert "stage 1\na tool\na layer\n" == (tmp_path / "staged" / "initrd").read_text()


def test_the_archive_says_nothing_of_who_made_it(build: Callable[..., Any], tmp_path: Path) -> None:
    """No owner, no date, no order of a directory: packed again elsewhere it is the same."""
    _, first, _ = build("runner-netboot")
    remove(tmp_path / "stores")
    _, second, _ = build("runner-netboot", output="again")

    assert first["sha256"] == second["sha256"]
    listing = subprocess.run(
        ["tar", "--zstd", "--list", "--verbose", "--utc", "--file", tmp_path / "again" / second["file"]],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    assert ["initrd", "kernel", "netboot.ipxe"] == [line.split()[-1] for line in listing]
    for line in listing:
        assert line.startswith("-rw-r--r-- 0/0 ")
        assert " 1970-01-01 00:00 " in line


def test_an_iso_image_is_published_as_it_is(build: Callable[..., Any], tmp_path: Path) -> None:
    """A target that is switched off can be built by hand."""
    code, told, _ = build("runner-iso")

    assert 0 == code
    assert told["file"].endswith(".iso")
    assert b"a tool\na layer\n" == (tmp_path / "dist" / told["file"]).read_bytes()


def test_a_system_without_an_image_is_built_and_compared(build: Callable[..., Any], tmp_path: Path) -> None:
    """There is nothing to publish but its description."""
    code, told, _ = build("runner")

    assert (0, "", True) == (code, told["file"], told["identical"])
    assert [] == list((tmp_path / "dist").iterdir())


@pytest.mark.parametrize(
    ("name", "differing"), [("runner-netboot", ["initrd"]), ("runner-iso", ["iso/runner.iso"]), ("runner", [])]
)
def test_what_differs_is_named_with_its_first_byte_and_its_cause(
    build: Callable[..., Any], repository: Flake, change: Callable[..., str], tmp_path: Path, name: str,
    differing: list[str],
) -> None:  # fmt: skip
    """Exit code 1; nothing is packed; both stay, to be looked into; the derivation where it begins is found."""
    change(repository, LAYER=CHANCE)

    code, told, said = build(name)

    assert (1, False, "") == (code, told["identical"], told["file"])
    assert differing == [one["file"] for one in told["differing_files"]]
    causes = [one["derivation"].partition("-")[2] for one in told["differing_paths"] if one["cause"]]
    assert ["squashfs.img.drv"] == causes
    assert "squashfs.img" in said
    for one in told["differing_files"]:
        first, second = Path(one["first"]).read_bytes(), Path(one["second"]).read_bytes()
        same = one["offset"]
        assert same >= len(b"a tool\n")
        assert (first[:same], first[same] == second[same]) == (second[:same], False)
        assert f"differs from byte {same} on" in said
    assert [] == list((tmp_path / "dist").iterdir())
    assert "hint: diffoscope " in said


def test_what_differs_is_kept_for_a_closer_look(
    build: Callable[..., Any], repository: Flake, change: Callable[..., str], tmp_path: Path
) -> None:
    """The two files travel from a runner whose stores are gone by then."""
    change(repository, LAYER=CHANCE)

    assert 1 == build("runner-iso", "--differences", tmp_path / "kept")[0]

    first, second = (tmp_path / "kept" / name / "iso" / "runner.iso" for name in ("first", "second"))
    assert first.read_bytes() != second.read_bytes()


def test_stores_are_cleaned_away(build: Callable[..., Any], command: Command, tmp_path: Path) -> None:
    """Nothing else is: a wrong name is told."""
    build("runner")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("")

    assert 0 == command("clean", tmp_path / "stores")[0]
    assert not (tmp_path / "stores").exists()
    assert 0 == command("clean", tmp_path / "stores")[0]
    assert 2 == command("clean", tmp_path / "precious")[0]
    assert (tmp_path / "precious" / "file").exists()


def test_stores_of_our_own_are_removed_unless_they_differ(
    repository: Flake, change: Callable[..., str], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gigabytes that nobody asked for do not stay; evidence does."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    arguments = ["build", "runner-netboot", "--flake", repository.top, "--output", tmp_path / "dist"]
    assert 0 == command(*arguments)[0]
    assert [] == list((tmp_path / "scratch").iterdir())
    change(repository, NETBOOT="exit 3")
    assert 3 == command(*arguments)[0]
    assert [] == list((tmp_path / "scratch").iterdir())

    change(repository, LAYER=CHANCE, NETBOOT="mkdir $out; ln -s ${layer} $out/kernel; cp $out/kernel $out/initrd; cp $out/kernel $out/netboot.ipxe")  # fmt: skip # noqa: E501
    assert 1 == command(*arguments)[0]
    (kept,) = (tmp_path / "scratch").iterdir()
    assert ["first", "second"] == sorted(entry.name for entry in kept.iterdir())


def test_a_file_that_is_not_built_is_told(
    build: Callable[..., Any], repository: Flake, change: Callable[..., str]
) -> None:
    """The target promises what the flake does not give."""
    change(repository, NETBOOT="mkdir $out; echo x > $out/kernel; echo y > $out/netboot.ipxe")

    code, told, said = build("runner-netboot")

    assert (2, {}) == (code, told)
    assert "-tree/initrd: is not in the result" in said


@pytest.mark.parametrize(
    ("made", "why"),
    [("ln -s /nix/var/nix/db/db.sqlite $out/initrd", "leads out of the store"),
     ("ln -s /etc/passwd $out/initrd", "is not there"), ("mkdir $out/initrd", "is no file"),
     ("touch $out/initrd", "is empty"), ("ln -s gone $out/initrd", "is not there")],
)  # fmt: skip
def test_only_files_of_the_store_are_published(
    build: Callable[..., Any], repository: Flake, change: Callable[..., str], made: str, why: str
) -> None:
    """A link to a file of the machine would publish that."""
    change(repository, NETBOOT=f"mkdir $out; {made}; echo x > $out/kernel; echo y > $out/netboot.ipxe")

    code, _, said = build("runner-netboot")

    assert code in (2, 3)
    assert why in said


def test_a_build_that_fails_says_what_nix_said(
    build: Callable[..., Any], repository: Flake, change: Callable[..., str], tmp_path: Path
) -> None:
    """Once; the second store is not begun."""
    change(repository, LAYER="echo for a reason; exit 7")

    code, _, said = build("runner-netboot", "--logs")

    assert 3 == code
    assert "for a reason" in said
    last = said.rpartition("ec-release: ")[2]
    assert "squashfs.img.drv'" in last
    assert "failed with exit code 7" in last
    assert not (tmp_path / "stores" / "second").exists()


def test_stores_must_be_fresh(build: Callable[..., Any]) -> None:
    """What lies in a store may have been built by somebody else."""
    assert 0 == build("runner")[0]

    code, _, said = build("runner")

    assert 2 == code
    assert "stores must be fresh" in said


def test_a_cache_does_not_stand_in_for_a_build(
    build: Callable[..., Any], nix_conf: Path, tmp_path: Path, repository: Flake, change: Callable[..., str]
) -> None:
    """A cache that has everything: inputs come from it, what must be built is built, and differs when it does."""
    change(repository, LAYER=CHANCE)
    _, told, _ = build("runner-netboot")
    out = told["result"]
    cache = tmp_path / "cache"
    copy = ["nix", "copy", "--from", told["store"], "--to", f"file://{cache}", out]
    subprocess.run(copy, check=True, capture_output=True)
    remove(tmp_path / "stores")
    nix_conf.write_text(nix_conf.read_text() + f"substituters = file://{cache}\nrequire-sigs = false\n")

    code, told, said = build("runner-netboot")

    assert 1 == code
    assert "building '" in said
    assert ["initrd"] == [one["file"] for one in told["differing_files"]]
    built = [line for line in said.splitlines() if line.startswith("building '")]
    assert not [line for line in built if "tools" in line]
    assert 2 == len([line for line in built if "squashfs.img" in line])


def test_arguments_reach_the_evaluation(build: Callable[..., Any], tmp_path: Path) -> None:
    """What stands after two dashes is Nix's; what it refuses is told."""
    code, _, said = build("runner", "--", "--no-such-option")
    assert 2 == code
    assert "unrecognised flag '--no-such-option'" in said
    remove(tmp_path / "stores")

    assert 0 == build("runner", "--", "--show-trace")[0]


def test_a_dirty_tree_is_refused(build: Callable[..., Any], repository: Flake, tmp_path: Path) -> None:
    """Before anything is built."""
    (repository.top / "forgotten.nix").write_text("{ }")

    code, _, said = build("runner")

    assert 2 == code
    assert "forgotten.nix" in said
    assert not (tmp_path / "stores").exists()
    shutil.rmtree(repository.top / ".git")
    assert "not the top of a git checkout" in build("runner")[2]
