"""The derivations that make a system, read from their `.drv` files (pitfall P4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ec_closure.derivation import Derivation
from ec_closure.errors import BadInputError
from ec_release.closure.errors import NotBuiltError

if TYPE_CHECKING:
    from ec_release.closure.location import Location


@dataclass(frozen=True)
class Graph:
    """Everything that the build of one derivation involves.

    *makers*: for each output path the derivation and the name of the output; where several fixed-output derivations
    promise the same path, the first of them by name. *sources*: paths that no derivation makes.
    """

    derivations: dict[str, Derivation] = field(default_factory=dict)
    makers: dict[str, tuple[str, str]] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)


def read(location: Location, drv_path: str) -> Graph:
    """Read *drv_path* and all it depends on.

    Raises `NotBuiltError` when one is not in the store, `DerivationError` when one is malformed. Outputs whose paths
    are only known after the build (floating content addresses) have no maker here.
    """
    graph = Graph()
    pending = [drv_path]
    while pending:
        path = pending.pop()
        if path in graph.derivations:
            continue
        derivation = _parse(location, path)
        graph.derivations[path] = derivation
        graph.sources.update(derivation.input_srcs)
        pending += derivation.input_drvs
        for name, output in derivation.outputs.items():
            if output.path:
                graph.makers[output.path] = min(graph.makers.get(output.path, (path, name)), (path, name))
    return graph


def _parse(location: Location, path: str) -> Derivation:
    try:
        return Derivation.parse(location.physical(path).read_bytes())
    except FileNotFoundError as error:
        raise NotBuiltError(
            "the derivation is not in the store", place=path, hint="garbage was collected meanwhile; run again"
        ) from error
    except BadInputError as error:
        raise error.at(path) from error
