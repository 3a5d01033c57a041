"""The build graph that an evaluation made: derivations, and who owns which output."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_closure.content_address import ContentAddress, store_path_of
from ec_closure.derivation import Derivation
from ec_closure.errors import LimitError
from ec_closure.hashes import Hash
from ec_closure.store_path import StorePath
from ec_verify.errors import NixError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ec_verify.ghost.session import Ghost

MAX_DERIVATIONS = 500_000
MAX_DERIVATION_BYTES = 64 << 20


@dataclass(frozen=True)
class Graph:
    """Derivations by store path, with *owners*: output path → (derivation, output name)."""

    top: str
    derivations: dict[str, Derivation]
    owners: dict[str, tuple[str, str]]

    @classmethod
    def load(cls, ghost: Ghost, top: str) -> Graph:
        """Read the derivation *top* and all it needs. Raises `NixError`, `BadInputError`."""
        derivations: dict[str, Derivation] = {}
        stack = [top]
        while stack:
            path = stack.pop()
            if path in derivations:
                continue
            if len(derivations) >= MAX_DERIVATIONS:
                raise LimitError(f"more than {MAX_DERIVATIONS} derivations", place=top)
            derivations[path] = _read(ghost, path)
            stack.extend(derivations[path].input_drvs)
        _check_names(derivations)
        owners = {
            output.path: (path, name)
            for path, derivation in derivations.items()
            for name, output in derivation.outputs.items()
            if output.path
        }
        return cls(top, derivations, owners)

    def outputs(self, derivations: Iterable[str]) -> set[str]:
        """Return the output paths of *derivations*."""
        return {
            output.path for path in derivations for output in self.derivations[path].outputs.values() if output.path
        }

    def direct_inputs(self, derivation: str) -> set[str]:
        """Return the store paths that the builder of *derivation* is given, without what these refer to."""
        found = self.derivations[derivation]
        built = {
            self.derivations[path].outputs[name].path for path, names in found.input_drvs.items() for name in names
        }
        return built | set(found.input_srcs)

    def in_order(self, derivations: Iterable[str]) -> list[str]:
        """Return *derivations* so that each comes after those it needs."""
        wanted = set(derivations)
        done: set[str] = set()
        ordered = []
        # An explicit stack with two visits a node: graphs of a system are thousands deep.
        stack = [(path, False) for path in sorted(wanted, reverse=True)]
        while stack:
            path, expanded = stack.pop()
            if expanded:
                if path not in done:
                    done.add(path)
                    if path in wanted:
                        ordered.append(path)
                continue
            if path in done:
                continue
            stack.append((path, True))
            stack.extend((needed, False) for needed in sorted(self.derivations[path].input_drvs) if needed not in done)
        return ordered


def _read(ghost: Ghost, path: str) -> Derivation:
    store_dir = ghost.location.store_dir
    try:
        # Never through a link: it would lead out of the ghost, into the file system of the one who reads.
        descriptor = os.open(ghost.path(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise NixError("is no regular file", place=path)
            data = file.read(MAX_DERIVATION_BYTES + 1)
    except OSError as error:
        raise NixError(f"the evaluation made no such derivation: {error.strerror}", place=path) from error
    if len(data) > MAX_DERIVATION_BYTES:
        raise LimitError(f"larger than {MAX_DERIVATION_BYTES} bytes", place=path)
    derivation = Derivation.parse(data)
    # A derivation's name is the hash of its text and references: nobody can have put another one there.
    address = ContentAddress("text", Hash.of("sha256", data))
    name = StorePath.parse(path, store_dir).name
    if store_path_of(address, name, derivation.references, store_dir=store_dir) != path:
        raise NixError("is not the derivation that its name promises", place=path)
    return derivation


def _check_names(derivations: Mapping[str, Derivation]) -> None:
    for path, derivation in derivations.items():
        for needed, names in derivation.input_drvs.items():
            for name in names:
                if name not in derivations[needed].outputs:
                    raise NixError(f"needs the output {name} of {needed}, which has none of that name", place=path)
