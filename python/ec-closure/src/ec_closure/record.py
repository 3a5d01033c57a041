"""What documents of ours are made of: the base of every part, and the texts that stand in them."""

from __future__ import annotations

from typing import Annotated

import msgspec

# JSON Schema's `$` is the very end; Python's also matches before a last newline, which `(?!\n)` forbids to both.
Sri = Annotated[str, msgspec.Meta(pattern=r"^sha256-[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$(?!\n)")]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
StorePathText = Annotated[
    str,
    msgspec.Meta(max_length=4096, pattern=r"^/[^\x00-\x1f\x7f]*/[0-9a-df-np-sv-z]{32}-[0-9A-Za-z+._?=-]{1,211}$(?!\n)"),
]
"""An absolute path that ends in `<hash part>-<name>`. Not checked: whether its directory is the store's."""


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A document part of ours: immutable, every field named, nothing unknown accepted."""
