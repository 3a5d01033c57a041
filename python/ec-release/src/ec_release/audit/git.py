"""The public repository, as git shows it to a stranger: read into a bare repository of our own, and never trusted.

No hook, no configuration of the user or the system, no credential, no other transport than the one that was asked for.
Objects are checked as they arrive. What is written to disk afterwards is looked at by us, too.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ec_closure.decoding import excerpt
from ec_closure.errors import UsageError
from ec_release import program
from ec_release.audit.checking import NotDone
from ec_release.closure import git_tree
from ec_release.closure.errors import SourceError

# Not ssh: it knows no strangers.
_TRANSPORTS = frozenset({"https", "http", "file"})
_TIMEOUT = 1800
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
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
        """Write the files of *commit* to the new directory *target*. Raises what `git_tree.export` raises."""
        git_tree.export(self._git, commit, target)

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
            answer = program.ask(
                ["git", *where, *settings, *arguments],
                env=self._environment(),
                cwd=self._home,
                stdin=stdin,
                deadline=_TIMEOUT,
            )
        except program.TooLateError as error:
            raise NotDone(f"git took longer than {_TIMEOUT} seconds", place=self.source) from error
        except program.FailedError as error:
            said = excerpt(" ".join(error.said.split()) or "git found nothing", 300)
            raise SourceError(said, place=arguments[0]) from error
        self._said = answer.said
        return answer.output

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
