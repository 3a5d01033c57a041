"""The public repository, as git shows it to a stranger: read into a bare repository of our own, and never trusted.

No hook, no configuration of the user or the system, no credential, no other transport than the one that was asked for.
Objects are checked as they arrive. What is written to disk afterwards is looked at by us, too.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ec_closure.decoding import excerpt
from ec_closure.errors import LimitError, UsageError
from ec_release.audit.checking import NotDone
from ec_release.closure.errors import ProgramError, SourceError

# Not ssh: it knows no strangers.
_TRANSPORTS = frozenset({"https", "http", "file"})
_TIMEOUT = 1800
_MAX_TREE = 256 << 20
_MAX_FILES = 500_000
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_MODES = {"100644": 0o644, "100755": 0o755}
_SYMLINK = "120000"
_SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.symlinks": "true",
    "credential.helper": "",
    "fetch.fsckObjects": "true",
    "fetch.recurseSubmodules": "no",
    "gc.auto": "0",
    "gpg.format": "ssh",
    "gpg.program": "false",
    "gpg.x509.program": "false",
    "http.followRedirects": "initial",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "protocol.version": "2",
    "transfer.fsckObjects": "true",
}


@dataclass(frozen=True)
class Entry:
    """One file of a commit, by its path in it."""

    mode: str
    blob: str
    size: int
    name: str


class PublicRepository:
    """A bare copy, below the directory *scratch*, of what *source* (an address or a path) publishes.

    *ca_file* replaces the system's certificate authorities. Raises `UsageError` for what is no address.
    """

    def __init__(self, source: str, scratch: Path, *, ca_file: Path | None = None) -> None:
        self.source, self._transport = _address(source)
        self._directory = scratch / "public.git"
        self._home = scratch / "home"
        self._ca_file = ca_file
        self._said = ""

    def read(self) -> None:
        """Copy all branches and tags. Raises `NotDone` when the repository cannot be read, `ProgramError`."""
        self._home.mkdir()
        self._git("init", "--quiet", "--bare", "--template=", str(self._directory), inside=False)
        try:
            self._git(
                *("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--"),
                *(self.source, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"),
            )
        except SourceError as error:
            raise NotDone(f"cannot be read: {error.message}", place=self.source) from error

    def commit_of(self, tag: str) -> str | None:
        """Return the commit that *tag* points to, None when there is no such tag."""
        return self._resolve(f"refs/tags/{tag}^{{commit}}")

    def holds(self, commit: str) -> bool:
        """Whether *commit*, a full identifier, is in the repository."""
        return _COMMIT.fullmatch(commit) is not None and self._resolve(f"{commit}^{{commit}}") == commit

    def signed_name(self, tag: str) -> str | None:
        """Return the name that the annotated tag object of *tag* itself carries, None for a lightweight one."""
        if self._git("cat-file", "-t", f"refs/tags/{tag}").strip() != b"tag":
            return None
        for line in self._git("cat-file", "tag", f"refs/tags/{tag}").split(b"\n\n", 1)[0].splitlines():
            if line.startswith(b"tag "):
                return line[4:].decode(errors="replace")
        return None

    def verify_tag(self, tag: str, signers: Path) -> str:
        """Return who of the allowed *signers* signed *tag*. Raises `SourceError` when nobody did."""
        self._git("-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-tag", "--raw", f"refs/tags/{tag}")
        said = self._said.splitlines()
        return next((line for line in said if line.startswith("Good")), "signed")

    def export(self, commit: str, target: Path) -> None:
        """Write the files of *commit* to the new directory *target*: blobs as committed, no attribute or filter.

        Raises `SourceError` for submodules and for names that lead elsewhere, `LimitError`.
        """
        entries = [
            _entry(line) for line in self._git("ls-tree", "-r", "-l", "-z", "--full-tree", commit).split(b"\0") if line
        ]
        if len(entries) > _MAX_FILES or sum(entry.size for entry in entries) > _MAX_TREE:
            raise LimitError(f"more than {_MAX_FILES} files or {_MAX_TREE} bytes", place=f"commit {commit}")
        check_names(entries)
        target.mkdir()
        answer = self._git("cat-file", "--batch", stdin="".join(f"{entry.blob}\n" for entry in entries).encode())
        at = 0
        for entry in entries:
            start = answer.index(b"\n", at) + 1
            try:
                _write(target / entry.name, entry.mode, answer[start : start + entry.size])
            except OSError as error:
                raise SourceError(f"cannot be written: {error.strerror}", place=repr(entry.name)) from error
            at = start + entry.size + 1

    def _resolve(self, name: str) -> str | None:
        try:
            found = self._git("rev-parse", "--verify", "--quiet", name)
        except SourceError:
            return None
        return found.decode().strip()

    def _git(self, *arguments: str, stdin: bytes = b"", inside: bool = True) -> bytes:
        settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        where = ["--git-dir", str(self._directory)] if inside else []
        try:
            done = subprocess.run(
                ["git", *where, *settings, *arguments],
                input=stdin,
                capture_output=True,
                check=False,
                timeout=_TIMEOUT,
                cwd=self._home,
                env=self._environment(),
            )
        except OSError as error:
            raise ProgramError(f"git cannot be run: {error.strerror}", hint="install git") from error
        except subprocess.TimeoutExpired as error:
            raise NotDone(f"git took longer than {_TIMEOUT} seconds", place=self.source) from error
        self._said = done.stderr.decode(errors="replace")
        if done.returncode != 0:
            raise SourceError(excerpt(" ".join(self._said.split()) or "git found nothing", 300), place=arguments[0])
        return done.stdout

    def _environment(self) -> dict[str, str]:
        # Nothing of the user's: neither their configuration nor their agent, which would make them no stranger.
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._home),
            "LC_ALL": "C",
            "GIT_ALLOW_PROTOCOL": self._transport,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            **({"GIT_SSL_CAINFO": str(self._ca_file)} if self._ca_file else {}),
        }


def _address(source: str) -> tuple[str, str]:
    """Return the address of *source*, and the one transport that it may use. Raises `UsageError`."""
    scheme, separator, _ = source.partition("://")
    if separator and scheme in _TRANSPORTS and "::" not in scheme:
        return source, scheme
    path = Path(source)
    if not separator and path.is_dir():
        return str(path.resolve()), "file"
    raise UsageError(
        f"{excerpt(source, 100)!r} is neither a directory nor an address", place="--source", hint="https://…, or a path"
    )


def _entry(line: bytes) -> Entry:
    about, name = line.split(b"\t", 1)
    mode, _, blob, size = about.decode("ascii").split()
    return Entry(mode, blob, 0 if size == "-" else int(size), os.fsdecode(name))


def check_names(entries: list[Entry]) -> None:
    """Raise `SourceError` unless every file can be written below a directory, and there only."""
    files = {entry.name for entry in entries}
    for entry in entries:
        if entry.mode not in _MODES and entry.mode != _SYMLINK:
            raise SourceError(f"a submodule, or of the mode {entry.mode}", place=entry.name)
        parts = entry.name.split("/")
        if {"", ".", ".."} & set(parts) or parts[0] == ".git":
            raise SourceError("a name that leads elsewhere", place=repr(entry.name))
        if any("/".join(parts[:end]) in files for end in range(1, len(parts))):
            raise SourceError("lies below a name that is a file or a link", place=repr(entry.name))


def _write(file: Path, mode: str, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if mode == _SYMLINK:
        file.symlink_to(os.fsdecode(content))
        return
    file.write_bytes(content)
    file.chmod(_MODES[mode])
