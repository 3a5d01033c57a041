"""Whether an output need not be built: its store paths are here already, or a binary cache has them.

What a cache says is believed for the matrix alone: an output that is left out is not built in CI, and nothing else
follows. Signatures are checked by whoever fetches.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ec_closure.errors import BadInputError
from ec_closure.store_path import StorePath
from ec_release.images import program

if TYPE_CHECKING:
    from collections.abc import Sequence

_SETTING = re.compile(r"^substituters = (?P<value>.*)$", re.MULTILINE)
_AT_ONCE = 8
_DEADLINE = 60.0


class Caches:
    """The local store, and the binary caches *addresses* (None: those of Nix's settings)."""

    def __init__(self, nix: str = "nix", options: Sequence[str] = (), addresses: Sequence[str] | None = None) -> None:
        self._nix = [nix, *program.FEATURES]
        self._options = list(options)
        self._env = program.environment()
        self._stores = [None, *(self._configured() if addresses is None else addresses)]

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
            program.ask([*self._nix, "path-info", *where, *self._options, *paths], env=self._env, deadline=_DEADLINE)
        except program.ProgramError as error:
            if not error.said:
                raise
            return False
        return True

    def _configured(self) -> list[str]:
        """Return the binary caches of Nix's settings; the command moved in 2.20."""
        answers = (["show-config"], ["config", "show"])
        for words in answers:
            try:
                said = program.ask([*self._nix, *words, *self._options], env=self._env).decode(errors="replace")
            except program.ProgramError:
                if words == answers[-1]:
                    raise
                continue
            if found := _SETTING.search(said):
                return found["value"].split()
        return []


def _is_path(text: str) -> bool:
    """Tell whether *text* is a store path of any store directory."""
    try:
        StorePath.parse_base(text.rpartition("/")[2])
    except BadInputError:
        return False
    return True
