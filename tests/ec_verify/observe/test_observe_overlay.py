"""What the kernel says of an overlay's layers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ec_verify.observe.mounts import Mount, parse, way_to
from ec_verify.observe.overlay import Layers, layers, reach

if TYPE_CHECKING:
    from pathlib import Path

# Mounts an overlay whose lower layers have the names that are given, and prints what the kernel says.
SCRIPT = """
import json, os, subprocess, sys
from ec_verify.ghost.holder import mount
from ec_verify.observe import mounts
from ec_verify.observe.overlay import layers
base, *names = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", base], check=True)
os.chdir(base)
for name in (*names, "upper", "work", "merged"):
    os.mkdir(name)
escaped = ":".join(name.replace("\\\\", "\\\\\\\\").replace(":", "\\\\:").replace(",", "\\\\,") for name in
                   [f"{base}/{name}" for name in names])
options = f"lowerdir={escaped},upperdir={base}/upper,workdir={base}/work"
# The system call itself: newer releases of the program `mount` read such options otherwise.
mount("overlay", f"{base}/merged", "overlay", 0, options, "overlay")
found = mounts.way_to(f"{base}/merged/x", mounts.observe())[-1]
print(json.dumps([found.point, layers(found).upper, layers(found).lower]))
"""


def overlay(*settings: str) -> Mount:
    """Return an overlay with these options."""
    return Mount("/nix/store", "overlay", "overlay", "/", "", settings)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (("rw", "lowerdir=/a", "upperdir=/u", "workdir=/w"), Layers("/u", ("/a",))),
        (("ro", "lowerdir=/a:/b"), Layers(None, ("/a", "/b"))),
        (("lowerdir=/a:/b::/data::/more", "upperdir=/u"), Layers("/u", ("/a", "/b"))),
        (("lowerdir+=/a:b", "lowerdir+=/c", "datadir+=/data", "upperdir=/u"), Layers("/u", ("/a:b", "/c"))),
        (("lowerdir=/a\\:b:/c\\\\:/d", "upperdir=/u\\,v"), Layers("/u,v", ("/a:b", "/c\\", "/d"))),
        ((), Layers(None, ())),
    ],
)
def test_layers_are_read_as_the_kernel_spells_them(settings: tuple[str, ...], expected: Layers) -> None:
    """In one option or in several, with what stands for colons and commas in names."""
    assert expected == layers(overlay(*settings))


names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(st.lists(names, min_size=1, max_size=4))
@example([":", "0"])
def test_no_name_of_a_layer_makes_two_of_it(given_names: list[str]) -> None:
    """Whatever characters it has: backslashes, colons, commas, blanks."""
    value = ":".join("/" + name.replace("\\", "\\\\").replace(":", "\\:") for name in given_names)
    raw = f"lowerdir={value}".encode()
    escaped = b"".join(b"\\%03o" % byte if byte in b" \t\n\\#," else bytes([byte]) for byte in raw)
    (mount,) = parse(b"40 36 0:30 / /nix/store rw - overlay overlay rw,%b,upperdir=/u\n" % escaped)

    assert Layers("/u", tuple(f"/{name}" for name in given_names)) == layers(mount)


@given(st.lists(st.text(st.sampled_from("lowerdi+=:\\/,a"), max_size=20)))
def test_options_that_follow_no_format_name_some_layers_or_none(settings: list[str]) -> None:
    """Nothing is raised."""
    assert isinstance(layers(overlay(*settings)), Layers)


@pytest.mark.root
def test_kernel_is_understood(tmp_path: Path) -> None:
    """A real overlay, over layers with the worst names that `mount` can be told."""
    wanted = ["plain", "a:b", "c,d", "e f", "g#h", "i\\j"]
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", SCRIPT, str(tmp_path), *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert [f"{tmp_path}/merged", f"{tmp_path}/upper", [f"{tmp_path}/{name}" for name in wanted]] == json.loads(
        done.stdout
    )


def test_layer_of_the_initrd_is_found_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel keeps the names of before the root was switched."""
    (tmp_path / "upper" / "store").mkdir(parents=True)
    monkeypatch.setattr("ec_verify.observe.overlay._BEFORE_ROOT", ("/sysroot-of-a-test",))

    assert tmp_path / "upper" / "store/x" == reach(f"/sysroot-of-a-test{tmp_path}/upper", "/store/x")
    assert tmp_path / "upper" / "store" == reach(f"{tmp_path}/upper", "store")


@pytest.mark.parametrize("directory", ["relative", "", "/nowhere-at-all", os.devnull])
def test_layer_that_is_not_here_is_not_guessed(directory: str) -> None:
    """Relative names, those of other namespaces, and what is no directory."""
    assert reach(directory, "/x") is None


def mount(number: int, parent: int, point: str, **changes: str) -> Mount:
    """Return a mount with its place among others."""
    given_fields = {"kind": "ext4", "source": "/dev/vda", "root": "/", "options": "rw", "device": "254:0"} | changes
    return Mount(point=point, number=number, parent=parent, **given_fields)


def test_way_leads_over_what_lies_on_top() -> None:
    """Several mounts on one point lie on one another, in whatever order they are listed."""
    listed = [mount(5, 4, "/nix/store"), mount(1, 0, "/"), mount(4, 1, "/nix/store"), mount(2, 1, "/home")]

    assert [1, 4, 5] == [one.number for one in way_to("/nix/store", listed)]
    assert [1, 4, 5] == [one.number for one in way_to("/nix/store/x", listed)]
    assert [1] == [one.number for one in way_to("/nix", listed)]


def test_way_does_not_lead_over_what_is_hidden() -> None:
    """A mount on /nix hides the one on the store directory that was there before."""
    listed = [mount(1, 0, "/"), mount(2, 1, "/nix/store"), mount(3, 1, "/nix"), mount(4, 3, "/nix/store")]

    assert [1, 3, 4] == [one.number for one in way_to("/nix/store", listed)]


def test_way_begins_at_the_root_that_is_seen() -> None:
    """Also when a second root was mounted over the first."""
    assert [1, 2] == [one.number for one in way_to("/x", [mount(1, 1, "/"), mount(2, 1, "/")])]
    assert [1, 2] == [one.number for one in way_to("/x", [mount(2, 1, "/"), mount(1, 1, "/")])]
    assert [] == way_to("/x", [mount(7, 3, "/elsewhere")])


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from(["/", "/a", "/a/b"])), max_size=8))
def test_way_ends_whatever_is_listed(listed: list[tuple[int, int, str]]) -> None:
    """Circles that no kernel makes do not hold anybody up."""
    assert len(way_to("/a/b", [mount(*one) for one in listed])) <= len(listed)
