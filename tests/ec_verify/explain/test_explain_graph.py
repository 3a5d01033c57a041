"""Who depends on a path, and through whom one inherits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ec_closure.explanation import Dependents
from ec_verify.explain.graph import chain, dependents

if TYPE_CHECKING:
    from tests.ec_verify.conftest import Names, Scene

    from ec_closure.manifest import Manifest


def manifest_of(scene: Scene) -> Manifest:
    """Return the scene's manifest: system refers to tool, tool to library."""
    assert scene.case.manifest is not None
    return scene.case.manifest


def test_dependents_are_counted_and_those_that_inherit_are_named(scene: Scene, names: type[Names]) -> None:
    """Only if the path itself is not as it should be."""
    manifest = manifest_of(scene)
    verdicts = {names.library: "unreproducible", names.tool: "inherited", names.system: "matches"}

    assert Dependents(direct=1, transitive=2, affected=(names.tool,)) == dependents(manifest, names.library, verdicts)
    assert Dependents(direct=1, transitive=2) == dependents(
        manifest, names.library, verdicts | {names.library: "fixed"}
    )
    assert Dependents(direct=0, transitive=0) == dependents(manifest, names.system, verdicts)


def test_the_shortest_way_leads_to_the_root_cause(scene: Scene, names: type[Names]) -> None:
    """From what inherits down through references; none where no cause is reached."""
    manifest = manifest_of(scene)

    assert (names.system, names.tool, names.library) == chain(manifest, names.system, [names.library])
    assert () == chain(manifest, names.tool, [names.editor])
    assert () == chain(manifest, names.library, [names.library])


def test_a_path_that_refers_to_itself_is_no_dependent_of_its_own(scene: Scene, names: type[Names]) -> None:
    """Many do."""
    manifest = manifest_of(scene)
    position = manifest.index()[names.library]
    paths = list(manifest.paths)
    paths[position] = msgspec.structs.replace(paths[position], references=(position,))
    cyclic = msgspec.structs.replace(manifest, paths=tuple(paths))

    assert Dependents(direct=1, transitive=2) == dependents(cyclic, names.library, {})
