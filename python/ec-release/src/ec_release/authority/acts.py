"""What a program or an action does that release authority asks about. Values alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "image",  # writes an image, or a tag, to a registry
    "images",  # writes whatever images the flake gives
    "release",  # writes assets to a release of a forge
    "metadata",  # signs metadata of releases
    "flakehub",  # publishes to FlakeHub
    "cache",  # fills a cache of builds: nobody installs from it by name
    "scan",  # looks for known vulnerabilities in an image
    "sign",  # signs an image, or something about it
    "verify",  # checks such a signature
    "deploy",  # puts an image where it is run
    "build",  # makes an image, here
    "unclear",  # may publish, and it cannot be told
]


@dataclass(frozen=True)
class Act:
    """One deed. *target* is an image, a path or an address; *source* is `dockerfile:PATH`, `flake:NAME` or empty.

    *fails* tells of a scan whether what it finds ends the job. *why* says what is unclear.
    """

    kind: Kind
    tool: str
    target: str = ""
    source: str = ""
    fails: bool = True
    why: str = ""
