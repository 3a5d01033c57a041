"""How this machine came by a path, and who vouches for it. Pure.

`built`: an output of the build graph that this machine made. `substituted`: an output that a trusted cache signed,
named by its key. `copied`: part of the source. The database's word that it built something itself (`ultimate`) is
believed here: a build machine that lies to itself signs whatever it wants anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ec_closure.signing import fingerprint, valid_signers
from ec_release.closure.errors import UnknownOriginError

if TYPE_CHECKING:
    from ec_closure.signing import Keyring
    from ec_closure.store_db import PathInfo
    from ec_release.closure.graph import Graph


@dataclass(frozen=True)
class Origin:
    """*deriver* and *output* name the maker, where the graph has one; *cache* the key that signed."""

    origin: Literal["built", "copied", "substituted"]
    deriver: str | None = None
    output: str | None = None
    cache: str | None = None


def origin_of(info: PathInfo, graph: Graph, keys: Keyring) -> Origin:
    """Return the origin of one path.

    Raises `UnknownOriginError` for a path that the graph does not know, that is not content-addressed, and that no
    trusted cache signed: nobody could say what it is.
    """
    maker = graph.makers.get(info.path)
    if maker is None and info.path in graph.sources:
        return Origin("copied")
    cache = None if info.ultimate else _signer(info, keys)
    deriver, output = maker or (None, None)
    if cache is not None:
        return Origin("substituted", deriver, output, cache)
    if maker is not None:
        return Origin("built", deriver, output)
    if info.ca is not None:
        return Origin("copied")
    raise UnknownOriginError(
        "neither made by the build, nor part of the source, nor signed by a trusted cache",
        place=info.path,
        hint="name the cache's key with --trusted-public-key",
    )


def _signer(info: PathInfo, keys: Keyring) -> str | None:
    signed = fingerprint(info.path, info.nar_hash, info.nar_size, info.references)
    signers = valid_signers(signed, info.signatures, keys)
    return min((key.name for key in keys if key.data in signers), default=None)
