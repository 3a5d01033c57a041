"""What is built anew: the target, what a pattern names, and all that depends on these."""

from __future__ import annotations

import pytest

from ec_closure.derivation import Derivation, Output
from ec_release.boot_images import fresh
from ec_release.closure.graph import Graph


def path(name: str) -> str:
    """Return a store path."""
    return f"/nix/store/{'0' * 32}-{name}"


def graph(**needs: str) -> Graph:
    """Return a graph: each derivation by name, and what it needs. A name that ends in _fixed has fixed bytes."""
    return Graph(
        {
            path(f"{name}.drv"): Derivation(
                outputs={"out": Output(path(name), *(("r:sha256", "0" * 64) if name.endswith("_fixed") else ()))},
                input_drvs={path(f"{needed}.drv"): ("out",) for needed in wanted.split()},
                input_srcs=(),
                system="x86_64-linux",
                builder="/bin/sh",
                args=(),
                env={},
            )
            for name, wanted in needs.items()
        }
    )


SMALL = graph(
    image="layer kernel",
    layer="system tool",
    system="config tool",
    config="",
    tool="source_fixed",
    kernel="tool",
    source_fixed="",
)


@pytest.mark.parametrize(
    ("patterns", "built", "inputs"),
    [
        ((), {"image"}, {"kernel", "layer"}),
        (("layer",), {"image", "layer"}, {"kernel", "system", "tool"}),
        (("conf*",), {"image", "layer", "system", "config"}, {"kernel", "tool"}),
        (("tool",), {"image", "layer", "system", "tool", "kernel"}, {"config", "source_fixed"}),
        (("source*",), {"image"}, {"kernel", "layer"}),
        (("nothing",), {"image"}, {"kernel", "layer"}),
        (("*",), {"image", "layer", "system", "config", "tool", "kernel"}, {"source_fixed"}),
    ],
)
def test_what_depends_on_it_is_built_along(patterns: tuple[str, ...], built: set[str], inputs: set[str]) -> None:
    """Otherwise a cache would bring what must be built, as a reference of what it has."""
    division = fresh.divide(SMALL, path("image.drv"), patterns)

    assert {path(f"{name}.drv") for name in built} == division.built
    assert {path(f"{name}.drv") for name in inputs} == division.inputs.keys()
    assert {path(name) for name in built} == division.outputs(SMALL).keys()
