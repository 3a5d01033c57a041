"""Content addresses: store paths that follow from the bytes they hold.

``text:sha256:…`` is a plain file written by the evaluator, with references; ``fixed:<algorithm>:…`` a single file and
``fixed:r:<algorithm>:…`` a tree, both fetched or added; ``fixed:r:sha256`` is also what sources and the outputs of
content-addressed derivations are. Source: Nix's libstore/content-address.cc and store-api.cc.

Nix exempts content-addressed paths from signatures on the strength of the database's ``ca`` string alone. `recompute`
asks the bytes instead.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Self, get_args

from ec_closure.errors import BadInputError
from ec_closure.hashes import Hash, HashError
from ec_closure.nar.dump import dump
from ec_closure.nar.hash import hash_flat, hash_path
from ec_closure.nar.modulo import ModuloHasher
from ec_closure.store_path import STORE_DIR, StorePath, make_store_path

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Method = Literal["text", "flat", "recursive"]
"""How the bytes are read: a file with references, a file, or a tree (its NAR)."""

_METHODS: Final = get_args(Method)


class ContentAddressError(BadInputError):
    """Text is no content address, or one that no store path can have."""

    code = "content-address"


@dataclass(frozen=True, slots=True)
class ContentAddress:
    """A method and a hash. Raises `ContentAddressError` where they do not go together."""

    method: Method
    hash: Hash

    def __post_init__(self) -> None:
        if self.method not in _METHODS:
            raise ContentAddressError(f"unknown content-address method {self.method!r}")
        if self.method == "text" and self.hash.algorithm != "sha256":
            raise ContentAddressError(f"text is addressed by sha256, not by {self.hash.algorithm}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``text:sha256:…``, ``fixed:<algorithm>:…`` or ``fixed:r:<algorithm>:…``. Raises `ContentAddressError`.

        Nix's experimental ``fixed:git:`` is refused: hashing it would need git's tree format.
        """
        kind, _, rest = text.partition(":")
        method: Method
        if kind == "text":
            method = "text"
        elif kind == "fixed":
            method = "recursive" if rest.startswith("r:") else "flat"
            rest = rest.removeprefix("r:")
        else:
            raise ContentAddressError(f"{text[:80]!r} is neither text: nor fixed:")
        if ":" not in rest:
            raise ContentAddressError(f"{text[:80]!r} has no hash of the form <algorithm>:<digest>")
        try:
            return cls(method, Hash.parse(rest))
        except HashError as error:
            raise ContentAddressError(f"{text[:80]!r}: {error.message}", hint=error.hint) from error

    def render(self) -> str:
        """Return the text that the store database and narinfo files hold."""
        prefix = {"text": "text:", "flat": "fixed:", "recursive": "fixed:r:"}[self.method]
        return prefix + self.hash.nix32

    def __str__(self) -> str:
        return self.render()


def store_path_of(
    ca: ContentAddress,
    name: str,
    references: Iterable[str] = (),
    *,
    self_reference: bool = False,
    store_dir: str = STORE_DIR,
) -> str:
    """Return the store path of content with address *ca* called *name*.

    *references* are full store paths without the path itself, which *self_reference* stands for. Raises
    `ContentAddressError` when content so addressed cannot have them: text cannot refer to itself, and of fixed
    content only ``fixed:r:sha256`` has references at all.
    """
    others = sorted({StorePath.parse(reference, store_dir).within(store_dir) for reference in references})
    if ca.method == "text":
        if self_reference:
            raise ContentAddressError(f"text called {name!r} cannot refer to itself")
        return make_store_path(":".join(["text", *others]), ca.hash.digest, name, store_dir)
    if ca.method == "recursive" and ca.hash.algorithm == "sha256":
        kind = ":".join(["source", *others, *(["self"] if self_reference else [])])
        return make_store_path(kind, ca.hash.digest, name, store_dir)
    if others or self_reference:
        raise ContentAddressError(f"content addressed as {ca.render()} cannot have references")
    recursive = "r:" if ca.method == "recursive" else ""
    inner = f"fixed:out:{recursive}{ca.hash.algorithm}:{ca.hash.base16}:".encode()
    return make_store_path("output:out", hashlib.sha256(inner).digest(), name, store_dir)


def source_store_path(
    nar_hash: Hash, name: str = "source", references: Iterable[str] = (), *, store_dir: str = STORE_DIR
) -> str:
    """Return where a tree with this NAR hash is, when added as a source: every locked flake input (pitfall P24)."""
    return store_path_of(ContentAddress("recursive", nar_hash), name, references, store_dir=store_dir)


def recompute(
    tree: Path,
    declared: ContentAddress,
    name: str,
    references: Iterable[str] = (),
    store_dir: str = STORE_DIR,
    *,
    own_path: str | None = None,
) -> str:
    """Return the store path that the bytes at *tree* deserve: equal to their own path, or they were tampered with.

    Of *declared*, only method and algorithm are used, never the hash. *references* are full store paths, the path's own
    among them if it refers to itself. *own_path* is what it calls itself, by default `tree`'s name below *store_dir*.

    Self references (P6): the own hash part is zeroed before hashing. Nix 2.17 to 2.34 hashed this otherwise than those
    before and after, and nothing records which did, so either answer is accepted: if the bytes deserve *own_path* by
    one rule, that is returned, else what the rule of today says.

    Raises `ContentAddressError` when no such path can hold these bytes or references, and what hashing a tree raises.
    Not checked: the execute bit of flat and text files, which their address does not cover; whether the references
    are really in the bytes.
    """
    own = own_path or f"{store_dir}/{tree.name}"
    given = set(references)
    others = given - {own}
    if own not in given:
        address = ContentAddress(declared.method, _hash(tree, declared))
        return store_path_of(address, name, others, store_dir=store_dir)
    if declared.method != "recursive" or declared.hash.algorithm != "sha256":
        raise ContentAddressError(f"content addressed as {declared.render()} cannot refer to itself")
    hasher = ModuloHasher(StorePath.parse(own, store_dir).hash_part)
    dump(tree, hasher.update)
    deserved = [
        store_path_of(ContentAddress("recursive", found), name, others, self_reference=True, store_dir=store_dir)
        for found in hasher.finish()
    ]
    return own if own in deserved else deserved[0]


def _hash(tree: Path, declared: ContentAddress) -> Hash:
    if declared.method == "recursive":
        return hash_path(tree, algorithm=declared.hash.algorithm).hash
    return hash_flat(tree, declared.hash.algorithm)
