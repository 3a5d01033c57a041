"""extlinux.conf, as U-Boot and syslinux read it."""

from __future__ import annotations

import posixpath

from ec_verify.observe.loader_entry import LoaderEntry, pairs

_KERNEL = frozenset({"linux", "kernel"})


def parse(config: str, directory: str) -> tuple[list[LoaderEntry], str | None]:
    """Return the entries of a file in *directory* (from the partition's root), and the label that is started.

    Relative paths are resolved from *directory*. Files that it includes are not read.
    """
    found: list[dict[str, str]] = []
    default = None
    for key, value in pairs(config):
        if key == "default":
            default = value
        elif key == "label":
            found.append({"label": value})
        elif found:
            found[-1]["kernel" if key in _KERNEL else key] = value
    entries = [
        LoaderEntry(
            name=one["label"],
            kernel=_join(directory, one["kernel"]) if "kernel" in one else None,
            initrds=tuple(_join(directory, name) for name in one.get("initrd", "").split(",") if name),
            options=tuple(one.get("append", "").split()),
            device_tree=_join(directory, one["fdt"]) if "fdt" in one else None,
        )
        for one in found
    ]
    return entries, default or (entries[0].name if entries else None)


def _join(directory: str, path: str) -> str:
    return posixpath.normpath(posixpath.join("/", directory, path))
