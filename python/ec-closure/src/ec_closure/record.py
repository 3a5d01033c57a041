"""What documents of ours are made of: the base of every part, and the texts that stand in them."""

from __future__ import annotations

from typing import Annotated

import msgspec

Sri = Annotated[str, msgspec.Meta(pattern=r"^sha256-[A-Za-z0-9+/]{43}=$")]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern=r"^[^\n\x00]*$")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
StorePathText = Annotated[str, msgspec.Meta(pattern=r"^/[^\x00\n]*/[0-9a-z]{32}-[0-9A-Za-z+._?=-]{1,211}$")]


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A document part of ours: immutable, every field named, nothing unknown accepted."""
