"""Where is published: a directory, or the releases of a repository on a Forgejo."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - cyclopts reads annotations at run time
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ec_closure.errors import UsageError
from ec_fetch.errors import TokenError
from ec_fetch.token import read_token
from ec_release.backend.directory import DirectoryBackend
from ec_release.backend.forgejo.context import Location, locate, run_token
from ec_release.errors import KeyFileError

if TYPE_CHECKING:
    import ssl

    from ec_release.backend.protocol import ReleaseBackend


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Place:
    """Where is published: exactly one of a directory and a repository's releases."""

    directory: Annotated[
        Path | None, Parameter(help="Publish into a tree: assets lie in DIRECTORY/download/<tag>/.")
    ] = None
    server: Annotated[
        str | None, Parameter(help="Publish to the releases of a Forgejo, https://HOST [the server of the run].")
    ] = None
    repository: Annotated[str | None, Parameter(help="OWNER/NAME on that server [the repository of the run].")] = None
    token_file: Annotated[
        Path | None,
        Parameter(
            help="The file with the token [EC_RELEASE_TOKEN; on the run's own server FORGEJO_TOKEN, GITHUB_TOKEN]."
        ),
    ] = None
    ca_file: Annotated[
        Path | None, Parameter(help="Certificate authorities to trust instead of the system's, in PEM.")
    ] = None

    def backend(self, *, prerelease: bool = False, target: str | None = None) -> ReleaseBackend:
        """Return the place to publish to. Raises `UsageError`, `KeyFileError` (token, certificates)."""
        if self.directory is not None:
            if self.server or self.repository or self.token_file or self.ca_file:
                raise UsageError("--directory and --server are two places", hint="give one of them")
            if prerelease or target:
                raise UsageError("a directory knows neither --prerelease nor --target")
            return DirectoryBackend(self.directory)
        location = locate(os.environ, self.server, self.repository)
        if location is None:
            raise UsageError("nothing says where to publish", hint="--directory, or --server and --repository")
        return self._forgejo(location, prerelease=prerelease, target=target or location.commit)

    def _forgejo(self, location: Location, *, prerelease: bool, target: str | None) -> ReleaseBackend:
        # Only who publishes there needs the HTTP library.
        from ec_release.backend.forgejo.api import Api
        from ec_release.backend.forgejo.backend import ForgejoBackend, Presentation
        from ec_release.backend.forgejo.holder import Holder
        from ec_release.backend.forgejo.http import Http, Patience

        http = Http(
            token=self._token(location),
            origins=(location.server, location.api),
            patience=Patience(),
            tls=self._authorities(),
        )
        api = Api(http, location.api, location.owner, location.name)
        return ForgejoBackend(api, Holder.ours(os.environ), Presentation(prerelease=prerelease, target=target))

    def _authorities(self) -> ssl.SSLContext | None:
        if self.ca_file is None:
            return None
        import ssl

        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise KeyFileError(
                f"holds no certificates: {error.strerror}",
                place=str(self.ca_file),
                hint="--ca-file names certificates in PEM",
            ) from error

    def _token(self, location: Location) -> str | None:
        if self.token_file is None:
            return run_token(os.environ, location)
        try:
            return read_token(self.token_file)
        except TokenError as error:
            raise KeyFileError(
                error.message, place=error.place, hint="--token-file names a file that holds the token alone"
            ) from error
