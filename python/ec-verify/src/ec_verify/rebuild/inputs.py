"""Whether the inputs of a build prove anything: `rebuilt` is worth no more than what went in (design §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure import signing
from ec_verify.rebuild.references import first_reason
from ec_verify.scan.path import PathTask, look

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ec_closure.signing import Keyring
    from ec_closure.store_db import PathInfo
    from ec_verify.ghost.session import Ghost
    from ec_verify.source.graph import Graph


class Inputs:
    """Judges inputs inside one ghost, after its builds.

    *signed* holds the SRI hashes that CI signed, *observed* those that lie on the disk, *made* those
    of outputs that builders of this round made. An input is good when it

    - is signed, and what was used (made here, or taken from the disk) is what was signed;
    - was made here, is in no manifest, and its own inputs are good;
    - is content-addressed (sources, texts, fixed outputs) and its bytes deserve its name;
    - carries the signature of a trusted cache over its bytes, hashed again now.
    """

    def __init__(
        self,
        ghost: Ghost,
        graph: Graph,
        rows: Mapping[str, PathInfo],
        *,
        signed: Mapping[str, str],
        observed: Mapping[str, str],
        made: Mapping[str, str],
        keys: Keyring,
    ) -> None:
        self._ghost = ghost
        self._graph = graph
        self._rows = rows
        self._signed = signed
        self._observed = observed
        self._made = made
        self._keys = keys
        self._references = {path: row.references for path, row in rows.items()}
        self._reasons: dict[str, str | None] = {}
        self._builds: dict[str, str | None] = {}

    def unsound(self, derivation: str) -> str | None:
        """Return why the inputs of *derivation* prove nothing, or None when they are good.

        Builds must be asked about in order, inputs first (`Graph.in_order`).
        """
        if derivation not in self._builds:
            self._builds[derivation] = first_reason(
                self._graph.direct_inputs(derivation), self._references, self._reason
            )
        return self._builds[derivation]

    def _reason(self, path: str) -> str | None:
        if path not in self._reasons:
            self._reasons[path] = self._find(path)
        return self._reasons[path]

    def _find(self, path: str) -> str | None:
        if path in self._signed:
            used = self._made.get(path) or self._observed.get(path)
            # A difference made here is no reason: it is judged by itself, and taken as signed next time.
            return None if path in self._made or used == self._signed[path] else f"the input {path} is corrupt"
        if path in self._made:
            return self._builds.get(self._graph.owners[path][0])
        row = self._rows.get(path)
        if row is None:
            return f"the input {path} is not there"
        return self._from_bytes(path, row)

    def _from_bytes(self, path: str, row: PathInfo) -> str | None:
        seen = look(
            PathTask(
                path=path,
                physical=str(self._ghost.path(path)),
                store_dir=self._ghost.location.store_dir,
                ca=row.ca,
                references=row.references,
                limit=row.nar_size,
                doubted=True,
            )
        )
        if seen.problem is not None:
            return f"the input {path} cannot be read"
        if row.ca is not None:
            return (
                None if seen.deserved == path else f"the input {path} does not have the content that its name demands"
            )
        if seen.nar_hash != row.nar_hash.sri:
            return f"the input {path} is corrupt"
        fingerprint = signing.fingerprint(
            path, row.nar_hash, seen.nar_size, row.references, self._ghost.location.store_dir
        )
        if signing.valid_signers(fingerprint, row.signatures, self._keys):
            return None
        return f"the input {path} is in no manifest and carries no signature of a trusted cache"
