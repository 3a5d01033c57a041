"""Derivations: what a ``.drv`` file says is to be built.

The file is an ATerm, ``Derive([outputs],[input derivations],[input
sources],system,builder,[arguments],[environment])``, unchanged since the beginning of Nix, while the JSON that CLI
commands print changed seven times (pitfalls P3, P4). Source: Nix's libstore/derivations.cc.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import msgspec

from ec_closure import aterm
from ec_closure.aterm import DerivationError, DerivationLimitError, UnsupportedDerivationError
from ec_closure.content_address import ContentAddress
from ec_closure.hashes import Hash, HashError

__all__ = ["Derivation", "DerivationError", "DerivationLimitError", "Output", "UnsupportedDerivationError"]

_IMPURE: Final = "impure"


@dataclass(frozen=True, slots=True)
class Output:
    """One output, as written.

    *path* is its full store path, empty where that is not known before the build. *hash_algo* and *hash* (base16) are
    set for fixed outputs; an algorithm without a hash is a floating content address.
    """

    path: str
    hash_algo: str = ""
    hash: str = ""

    @property
    def content_address(self) -> ContentAddress | None:
        """How the bytes are addressed, if the output is fixed: from this its path follows.

        Raises `DerivationError` for methods, algorithms and digests that are not understood.
        """
        if self.hash in {"", _IMPURE}:
            return None
        algorithm = self.hash_algo.removeprefix("r:")
        try:
            declared = Hash.parse_digest(algorithm, self.hash)
        except HashError as error:
            raise DerivationError(error.message, place=self.path, hint=error.hint) from error
        return ContentAddress("recursive" if self.hash_algo.startswith("r:") else "flat", declared)


@dataclass(frozen=True, slots=True)
class Derivation:
    """One derivation, in the order of its file: outputs and inputs by name, environment by key.

    *system* and *builder* are text with undecodable bytes as surrogates; arguments and environment are bytes.
    """

    outputs: dict[str, Output]
    input_drvs: dict[str, tuple[str, ...]]
    input_srcs: tuple[str, ...]
    system: str
    builder: str
    args: tuple[bytes, ...]
    env: dict[bytes, bytes]
    version: str = ""
    """Empty, or the experimental feature that the file names as its version."""

    @classmethod
    def parse(cls, data: bytes, store_dir: str | None = None) -> Self:
        """Read the contents of a ``.drv`` file; its paths are all of *store_dir*, or of any one store directory.

        Accepts exactly what Nix writes: names, inputs and variables sorted and without duplicates, no needless escapes;
        so `unparse` gives back the same bytes. Values may hold any bytes.

        Raises `DerivationError` with the offset, `DerivationLimitError` beyond 64 MiB, `UnsupportedDerivationError` for
        dynamic derivations. Not checked: that outputs follow from the
        inputs, or what the environment says.
        """
        reader = aterm.Reader(data, store_dir)
        version = reader.header()
        outputs = reader.table(lambda: _output(reader))
        reader.token(b",")
        input_drvs = reader.table(lambda: _input(reader))
        reader.token(b",")
        input_srcs = reader.strings(reader.path)
        reader.increasing(input_srcs, "input source")
        reader.token(b",")
        system = reader.loose_text()
        reader.token(b",")
        builder = reader.loose_text()
        reader.token(b",")
        args = reader.strings(reader.string)
        reader.token(b",")
        env = reader.table(lambda: _variable(reader))
        reader.token(b")")
        reader.end()
        return cls(outputs, input_drvs, input_srcs, system, builder, args, env, version)

    def unparse(self) -> bytes:
        """Return the contents of the ``.drv`` file."""
        outputs = (
            aterm.group(
                aterm.quote_text(name),
                aterm.quote_text(out.path),
                aterm.quote_text(out.hash_algo),
                aterm.quote_text(out.hash),
            )
            for name, out in self.outputs.items()
        )
        inputs = (
            aterm.group(aterm.quote_text(path), aterm.list_(map(aterm.quote_text, names)))
            for path, names in self.input_drvs.items()
        )
        fields = [
            aterm.list_(outputs),
            aterm.list_(inputs),
            aterm.list_(map(aterm.quote_text, self.input_srcs)),
            aterm.quote(self.system.encode("utf-8", "surrogateescape")),
            aterm.quote(self.builder.encode("utf-8", "surrogateescape")),
            aterm.list_(map(aterm.quote, self.args)),
            aterm.list_(aterm.group(aterm.quote(key), aterm.quote(value)) for key, value in self.env.items()),
        ]
        if self.version:
            return b"DrvWithVersion" + aterm.group(aterm.quote_text(self.version), *fields)
        return b"Derive" + aterm.group(*fields)

    @property
    def is_fixed_output(self) -> bool:
        """Whether the one output's bytes are fixed by a hash; such a build may use the network (P16)."""
        out = self.outputs.get("out")
        return len(self.outputs) == 1 and out is not None and out.hash not in {"", _IMPURE}

    @property
    def is_content_addressed(self) -> bool:
        """Whether outputs are floating: their paths follow from what the build makes (P15)."""
        return any(output.hash_algo and not output.hash for output in self.outputs.values())

    @property
    def is_impure(self) -> bool:
        """Whether the derivation says of itself that each build may differ."""
        return any(output.hash == _IMPURE for output in self.outputs.values())

    @property
    def references(self) -> tuple[str, ...]:
        """The store paths that the file refers to, sorted: its own path follows from them and its text."""
        return tuple(sorted({*self.input_drvs, *self.input_srcs}))

    @property
    def name(self) -> str:
        """The name that outputs are called by, without the output's own name.

        From the variable ``name``, or with structured attributes from ``__json``. Empty if neither holds one: a
        derivation is safely named only by its own store path.
        """
        name = self.env.get(b"name")
        if name is None and (attributes := self.env.get(b"__json")) is not None:
            try:
                return msgspec.json.decode(attributes, type=_StructuredAttributes).name
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return ""
        return (name or b"").decode("ascii", "replace")


class _StructuredAttributes(msgspec.Struct):
    name: str = ""


def _output(reader: aterm.Reader) -> tuple[str, Output]:
    name = reader.text()
    reader.token(b",")
    path = reader.path_or_empty()
    reader.token(b",")
    algorithm = reader.text()
    reader.token(b",")
    return name, Output(path, algorithm, reader.text())


def _input(reader: aterm.Reader) -> tuple[str, tuple[str, ...]]:
    path = reader.path()
    reader.token(b",")
    if reader.at(b"("):
        raise UnsupportedDerivationError(
            "depends on an output of an output (dynamic derivations)",
            place=reader.place,
            hint="derivations made while building cannot be compared before the build",
        )
    names = reader.strings(reader.text)
    reader.increasing(names, "output name")
    return path, names


def _variable(reader: aterm.Reader) -> tuple[bytes, bytes]:
    key = reader.string()
    reader.token(b",")
    return key, reader.string()
