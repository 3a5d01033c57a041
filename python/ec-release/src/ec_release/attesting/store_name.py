"""Names of store paths as packages: name and version as Nix tells them apart, and the package URL. Pure.

Source: Nix's libstore/names.cc (`DrvName`) and the package-url specification.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from ec_closure.store_path import HASH_PART_LENGTH

_OUT = "out"
# The version begins after the first dash that no letter follows, as Nix has it.
_VERSION = re.compile(r"-(?=[^A-Za-z])")


@dataclass(frozen=True, slots=True)
class PackageName:
    """What a store path holds: *hash_part* and *name* make its base name again together with *version* and *output*.

    *version* is None where the name has none: configuration files and the like. *output* is the output of the
    derivation, None where nobody said which.
    """

    hash_part: str
    name: str
    version: str | None
    output: str | None

    @property
    def purl(self) -> str | None:
        """The package URL, None without a version: what has none is no package."""
        if self.version is None:
            return None
        output = f"output={quote(self.output, safe='')}&" if self.output not in {None, _OUT} and self.output else ""
        name, version = quote(self.name, safe=""), quote(self.version, safe="")
        return f"pkg:nix/{name}@{version}?{output}outputhash={self.hash_part}"


def read(base_name: str, output: str | None) -> PackageName:
    """Read the base name ``<hash part>-<name>`` of a store path that is the *output* of a derivation.

    Nix puts the name of every output but `out` behind the version; it belongs to neither.
    """
    hash_part, name = base_name[:HASH_PART_LENGTH], base_name[HASH_PART_LENGTH + 1 :]
    suffix = f"-{output}"
    if output not in {None, _OUT} and name.endswith(suffix) and name != suffix:
        name = name.removesuffix(suffix)
    found = _VERSION.search(name, 1)
    if found is None or found.end() == len(name):
        return PackageName(hash_part, name, None, output)
    return PackageName(hash_part, name[: found.start()], name[found.end() :], output)
