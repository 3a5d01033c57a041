"""The file of targets: what it may say, and which of it a run takes."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ec_release.boot_images import targets
from ec_release.boot_images.errors import SelectionError, TargetsError

if TYPE_CHECKING:
    from ec_release.boot_images.targets import Targets

ROOT = Path(__file__).parents[3]
OURS = ROOT / targets.DEFAULT_FILE
HEAD = 'schema = "ec-release.boot-images.v1"\n'
ISO = 'kind = "iso"\nplatform = "x86_64-linux"\nrunner = "r"\nfiles = ["iso/a.iso"]\n'


@pytest.fixture
def ours() -> Targets:
    """Give this repository's own targets."""
    return targets.read(OURS)


def test_our_own_are_the_systems_of_the_flake(ours: Targets) -> None:
    """Every system that nixos/images names is a target, and nothing else is."""
    named = {f"ec-runner-{machine}{kind}" for machine in ("x86_64", "aarch64") for kind in ("", "-netboot", "-iso")}

    assert named | {"ec-runner-aarch64-sdimage"} == ours.targets.keys()
    for name, target in ours.targets.items():
        assert name.startswith(f"ec-runner-{target.platform.removesuffix('-linux')}")


def test_only_x86_64_is_switched_on(ours: Targets) -> None:
    """No machine of another kind is promised."""
    assert ["ec-runner-x86_64", "ec-runner-x86_64-iso", "ec-runner-x86_64-netboot"] == list(targets.select(ours, ""))


def test_naming_a_runner_switches_on(tmp_path: Path) -> None:
    """Nothing but the label changes."""
    text = OURS.read_text().replace('runner = ""', 'runner = "arm"')
    (tmp_path / "t.toml").write_text(text)

    assert 7 == len(targets.select(targets.read(tmp_path / "t.toml"), "all"))


def test_what_is_ours_is_built_anew(ours: Targets) -> None:
    """By the names that the flake's derivations have: programs, configuration, stages of images; no tool of nixpkgs."""
    built = (
        "python3.13-ec-verify-0.1.0",
        "ec-install",
        "nixos-system-ec-runner-26.11",
        "etc",
        "unit-ec-verify-bytes.service",
        "initrd-linux-6.18.37",
        "squashfs.img",
    )
    fetched = ("squashfs-4.7.5", "linux-6.18.37", "python3.13-msgspec-0.20.0", "bash-5.3", "ffmpeg-headless-8.0")

    def matches(name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in ours.rebuild)

    assert [] == [name for name in built if not matches(name)]
    assert [] == [name for name in fetched if matches(name)]


def test_attributes_follow_from_name_and_kind(ours: Targets) -> None:
    """As nodes and manifests call them."""
    found = {name: targets.attribute(name, target).rpartition(".")[2] for name, target in ours.targets.items()}

    assert ("toplevel", "netboot") == (found["ec-runner-x86_64"], found["ec-runner-x86_64-netboot"])
    assert ("isoImage", "sdImage") == (found["ec-runner-x86_64-iso"], found["ec-runner-aarch64-sdimage"])
    assert "nixosConfigurations.a.config.system.build.toplevel" == targets.toplevel("a")


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ("all", 3),
        ("*-netboot", 1),
        ("ec-runner-x86_64, ec-runner-x86_64-iso", 2),
        ("ec-runner-x86_64\n ec-runner-x86_64", 1),
        (" , ", 3),
    ],
)
def test_a_run_takes_what_it_names(ours: Targets, wanted: str, count: int) -> None:
    """Names and patterns, each target once."""
    assert count == len(targets.select(ours, wanted))


@pytest.mark.parametrize("wanted", ["netboot", "ec-runner-*-sdimage", "ec-runner-x86_64 nonsense", "$(id)", "'"])
def test_what_names_nothing_is_refused(ours: Targets, wanted: str) -> None:
    """A release that lacks what somebody asked for would be a surprise."""
    with pytest.raises(SelectionError, match="names no target"):
        targets.select(ours, wanted)


def test_what_is_switched_off_says_so(ours: Targets) -> None:
    """Instead of being left out."""
    with pytest.raises(SelectionError, match="is switched off"):
        targets.select(ours, "ec-runner-aarch64-iso")
    assert "sdimage" == targets.named(ours, "ec-runner-aarch64-sdimage").kind
    with pytest.raises(SelectionError, match="is no target"):
        targets.named(ours, "none")


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEAD,
        HEAD + "[targets]\n",
        HEAD.replace("v1", "v2") + "[targets.a]\n" + ISO,
        HEAD + "[targets.a]\n" + ISO + "more = 1\n",
        HEAD + "more = 1\n[targets.a]\n" + ISO,
        HEAD + '[targets."A b"]\n' + ISO,
        HEAD + "[targets.a]\n" + ISO.replace("iso/a.iso", "../a.iso"),
        HEAD + "[targets.a]\n" + ISO.replace("iso/a.iso", "/a.iso"),
        HEAD + "[targets.a]\n" + ISO.replace("iso/a.iso", "a.img"),
        HEAD + "[targets.a]\n" + ISO.replace('["iso/a.iso"]', "[]"),
        HEAD + "[targets.a]\n" + ISO.replace('"iso"', '"netboot"'),
        HEAD + "[targets.a]\n" + ISO.replace('"iso"', '"system"'),
        HEAD + "[targets.a]\n" + ISO.replace('"iso"', '"qcow2"'),
        HEAD + "[targets.a]\n" + ISO.replace('"r"', '"a b"'),
        HEAD + "[targets.a]\n" + ISO.replace('"r"', '"a\\nb=c"'),
        HEAD + "[targets.a]\n" + ISO.replace("-linux", ""),
        HEAD + "[targets.a]\n" + ISO + ISO,
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path: Path, text: str) -> None:
    """With the place in the file."""
    file = tmp_path / "targets.toml"
    file.write_text(text)

    with pytest.raises(TargetsError) as caught:
        targets.read(file)
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """And one without end is not read whole."""
    with pytest.raises(TargetsError, match="cannot be read"):
        targets.read(tmp_path / "none.toml")
    with pytest.raises(TargetsError, match="more than the"):
        targets.read(Path("/dev/zero"))
