"""What can go wrong between a tree on disk and its archive."""

from __future__ import annotations

import errno

from ec_closure.errors import BadInputError, LimitError, LocalError

_MOVED = frozenset({errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.ESTALE, errno.ENXIO})


class NarError(BadInputError):
    """Bytes are not a well-formed NAR; the place is a byte offset."""

    code = "nar"


class NarLimitError(NarError, LimitError):
    """A NAR is deeper, larger or has more entries than is accepted."""

    code = "nar-limit"


class TreeError(LocalError):
    """A tree on disk cannot be read or written; the place is the path."""

    code = "tree"


class TreeChangedError(TreeError):
    """A tree changed while it was read: what was read is of no state that ever was."""

    code = "tree-changed"


class UnsupportedFileError(TreeError):
    """A tree holds a socket, a fifo or a device, which no NAR can hold, or is deeper than any that Nix makes."""

    code = "unsupported-file"


class TreeTooLargeError(TreeError):
    """A tree's archive is larger than the caller wanted to read."""

    code = "tree-too-large"


def printable(path: bytes) -> str:
    """Return *path* as one line of text, whatever bytes its names hold."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def changed(place: str, what: str) -> TreeChangedError:
    """Return the error for *place*, of which *what* changed."""
    return TreeChangedError(
        f"changed while it was read: {what}", place=place, hint="try again when nothing writes to it"
    )


def from_os_error(error: OSError, place: str, *, listed: bool) -> TreeError:
    """Return the error for a failed system call at *place*; *listed* says that it was seen there a moment before."""
    if listed and error.errno in _MOVED:
        return changed(place, (error.strerror or "it is gone").lower())
    return TreeError((error.strerror or str(error)).lower(), place=place)
