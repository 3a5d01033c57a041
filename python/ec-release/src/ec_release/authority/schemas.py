"""JSON Schema of the declaration, generated from its types.

`python -m ec_release.authority.schemas docs` writes it. A schema says what the types say; what holds between the
parts of a declaration is checked by its `decode`.
"""

from __future__ import annotations

from pathlib import Path

from ec_closure.schemas import render
from ec_release.authority.declaration import Declaration

DOCUMENTS = {"release-authority.v1": Declaration}


def write(directory: Path) -> None:
    """Write every schema into *directory*."""
    for name, kind in DOCUMENTS.items():
        (directory / f"{name}.schema.json").write_text(render(kind), encoding="utf-8")


if __name__ == "__main__":
    import sys

    write(Path(sys.argv[1]))
