"""Whether an output need not be built: its store paths are here already, or a binary cache has them.

What a cache says is believed for the matrix alone: an output that is left out is not built in CI, and nothing else
follows. Signatures are checked by whoever fetches.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ec_closure.errors import BadInputError
from ec_closure.store_path import StorePath
from ec_release import nix_settings, program

if TYPE_CHECKING:
    from collections.abc import Sequence

_AT_ONCE = 8
_DEADLINE = 60.0


class Caches:
    """The local store, and the binary caches *addresses* (None: those of Nix's settings)."""

    def __init__(self, nix: str = "nix", options: Sequence[str] = (), addresses: Sequence[str] | None = None) -> None:
        self._nix = nix
        self._options = list(options)
        self._env = program.environment()
        if addresses is None:
            addresses = nix_settings.read(nix, self._options, self._env).get("substituters", "").split()
        self._stores = [None, *addresses]

    def holding(self, outputs: Sequence[tuple[str, ...]]) -> list[bool]:
        """Tell of each output, given by its store paths, whether one store holds all of them.

        A cache that fails counts as one that has nothing: then more is built than need be.
        """
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(self._held, outputs))

    def _held(self, paths: tuple[str, ...]) -> bool:
        # Outputs whose paths are known after building only have placeholders instead.
        return bool(paths) and all(map(_is_path, paths)) and any(self._has(store, paths) for store in self._stores)

    def _has(self, store: str | None, paths: tuple[str, ...]) -> bool:
        where = [] if store is None else ["--store", store]
        try:
            program.ask(
                [self._nix, *nix_settings.FEATURES, "path-info", *where, *self._options, *paths],
                env=self._env,
                deadline=_DEADLINE,
            )
        except program.FailedError:
            return False
        return True


def _is_path(text: str) -> bool:
    """Tell whether *text* is a store path of any store directory."""
    try:
        StorePath.parse_base(text.rpartition("/")[2])
    except BadInputError:
        return False
    return True
