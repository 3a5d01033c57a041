"""extlinux.conf, as U-Boot and syslinux read it."""

from __future__ import annotations

import posixpath

from ec_verify.observe.loader_entry import LoaderEntry, pairs

_KERNEL = frozenset({"linux", "kernel"})


def parse(config: str, directory: str) -> tuple[list[LoaderEntry], frozenset[str]]:
    """Return the entries of a file in *directory* (from the partition's root), and the labels that may be started.

    Relative paths are resolved from *directory*. Files that it includes are not read: each is an entry whose program it
    is, and may be started, since it may say so.
    """
    found: list[dict[str, str]] = []
    includes: list[LoaderEntry] = []
    defaults: set[str] = set()
    for cased, value in pairs(config):
        key, words = cased.lower(), value.split()
        if key == "include" or (key == "menu" and words[:1] and words[0].lower() == "include"):
            path = _join(directory, words[-1] if words else "")
            includes.append(LoaderEntry(f"include {path}", program=path))
        elif key == "menu" and found and words[:1] and words[0].lower() == "default":
            defaults.add(found[-1]["label"])
        elif key in ("default", "ontimeout"):
            defaults.add(value)
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
    if not defaults and entries:
        defaults.add(entries[0].name)
    return [*entries, *includes], frozenset(defaults | {one.name for one in includes})


def _join(directory: str, path: str) -> str:
    return posixpath.normpath(posixpath.join("/", directory, path))
