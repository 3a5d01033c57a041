"""Sending reports to the dashboard; what cannot be sent waits in the spool. Contract: docs/report-api.md."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import httpx2
import msgspec
import stamina
import structlog

from ec_closure import strict_json
from ec_closure.errors import BadInputError, TransportError
from ec_fetch.errors import TokenError
from ec_fetch.token import read_token
from ec_fetch.watchdog import Watchdog
from ec_verify.config import tls_context
from ec_verify.errors import ConfigError
from ec_verify.state import failed, write_file
from ec_verify.text import one_line

if TYPE_CHECKING:
    import ssl

    from ec_verify.config import ReportTable

log = structlog.get_logger()

MEDIA_TYPE = "application/vnd.dsse.envelope+json"
MAX_SPOOLED = 500
_PATIENCE = 5
"""How many reports may be refused for now before the rest waits untried."""
_TIMEOUT = 30.0
_DEADLINE = 300.0
"""Seconds for one request in all, whatever the other side does byte by byte."""
_MAX_ANSWER = 1 << 16
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_ACCEPTED = frozenset({200, 201, 202, 208})
_FINAL = frozenset({400, 409, 410, 413, 415, 422})
"""These speak of the bytes that were sent. Others, such as 401, 404 or a redirect, speak of us or of the address."""


class SubmitError(TransportError):
    """The dashboard did not take a report.

    *final* says that sending the same bytes again is pointless, *answered* that the dashboard did speak to us.
    """

    code = "verify.submit"

    def __init__(self, message: str, *, place: str, final: bool = False, answered: bool = False) -> None:
        hint = "it is kept in spool/refused" if final else "the report stays in the spool and is sent with the next one"
        super().__init__(message, place=place, hint=hint)
        self.final = final
        self.answered = answered


class _TemporaryError(Exception):
    """Worth another try."""


class _Nonce(msgspec.Struct):
    nonce: Annotated[str, msgspec.Meta(min_length=16, max_length=256)]


@dataclass(frozen=True)
class Dashboard:
    """Where reports go: *url* without a slash at its end, *token* for the Authorization header.

    *tls* replaces the system's certificate authorities.
    """

    url: str
    token: str | None = None
    attempts: int = 4
    tls: ssl.SSLContext | None = None

    @classmethod
    def of(cls, table: ReportTable) -> Dashboard | None:
        """Return the dashboard that the configuration names, None when it names none. Raises `ConfigError`."""
        if not table.url:
            return None
        try:
            token = read_token(Path(table.token_file)) if table.token_file else None
        except TokenError as error:
            raise ConfigError(
                error.message, place=error.place, hint="report.token_file names a file that holds the token alone"
            ) from error
        tls = tls_context(Path(table.ca_file), "report.ca_file") if table.ca_file else None
        return cls(table.url.rstrip("/"), token, tls=tls)

    def nonce(self) -> str | None:
        """Ask for a nonce that makes the next report fresh; None when the dashboard does not answer now."""
        try:
            answer = self._request("/api/v1/nonces", None, attempts=1)
            return strict_json.decode(answer, _Nonce, what="nonce", max_bytes=_MAX_ANSWER).nonce
        except (SubmitError, BadInputError) as error:
            log.info("no nonce: the report will count as late", reason=str(error))
            return None

    def send(self, envelope: bytes) -> None:
        """Send one report. Raises `SubmitError`."""
        self._request("/api/v1/reports", envelope, attempts=self.attempts)

    def _request(self, path: str, body: bytes | None, *, attempts: int) -> bytes:
        """Post *body* and return the answer's. Redirects are not followed, and the environment has no say."""
        place = self.url + path
        headers = {"Content-Type": MEDIA_TYPE, "Accept": "application/json", "Accept-Encoding": "identity"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        status, answer = 0, b""
        try:
            for attempt in stamina.retry_context(on=(_TemporaryError, httpx2.TransportError), attempts=attempts):
                with attempt:
                    status, answer = _post(place, body, headers, self.tls)
        except (_TemporaryError, httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise SubmitError(one_line(str(error)) or type(error).__name__, place=place) from error
        if status not in _ACCEPTED:
            said = one_line(answer.decode(errors="replace"), 200)
            raise SubmitError(f"answered {status}: {said}", place=place, final=status in _FINAL, answered=True)
        return answer


def _post(place: str, body: bytes | None, headers: dict[str, str], tls: ssl.SSLContext | None) -> tuple[int, bytes]:
    answer = bytearray()
    with (
        Watchdog(_DEADLINE) as watchdog,
        httpx2.Client(
            timeout=_TIMEOUT, trust_env=False, follow_redirects=False, verify=True if tls is None else tls
        ) as client,
        client.stream("POST", place, content=body, headers=headers, extensions={"trace": watchdog.trace}) as response,
    ):
        if response.status_code in _TRY_AGAIN:
            raise _TemporaryError(f"answered {response.status_code}")
        # Undecoded, so that nothing can be larger than what travelled.
        for chunk in response.iter_raw():
            answer += chunk
            if len(answer) > _MAX_ANSWER:
                break
    return response.status_code, bytes(answer[: _MAX_ANSWER + 1])


class Spool:
    """Reports that wait, oldest first, at most `MAX_SPOOLED`; the oldest go when there are more.

    Methods raise `StateError` when the directory cannot be used.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def add(self, name: str, envelope: bytes) -> None:
        """Keep *envelope* under a *name* that sorts by age."""
        write_file(self._directory / f"{name}-{secrets.token_hex(2)}.json", envelope)
        self._drop_oldest(self._directory)

    def waiting(self) -> list[Path]:
        """Return what waits, oldest first."""
        return sorted(self._directory.glob("*.json")) if self._directory.is_dir() else []

    def send(self, dashboard: Dashboard) -> int:
        """Send what waits, in order, and return how many went. Stops when the dashboard does not answer.

        A report that the dashboard refuses for good is moved aside to `refused`, never dropped. One that it refuses
        for now (a token that expired, an address that moved) stays, and a few more are tried: they may be signed
        with another key.
        """
        sent = refused = 0
        for file in self.waiting():
            try:
                dashboard.send(file.read_bytes())
                file.unlink()
                sent += 1
            except SubmitError as error:
                if error.final:
                    self._set_aside(file, error)
                    continue
                refused += 1
                if not error.answered or refused >= _PATIENCE:
                    log.warning("reports wait in the spool", reason=str(error), waiting=len(self.waiting()))
                    break
            except OSError as error:
                raise failed(error, file) from error
        return sent

    def _set_aside(self, file: Path, error: SubmitError) -> None:
        log.warning("the dashboard refuses a report for good", reason=str(error), file=file.name)
        refused = self._directory / "refused"
        try:
            refused.mkdir(mode=0o700, exist_ok=True)
            file.replace(refused / file.name)
        except OSError as trouble:
            raise failed(trouble, refused / file.name) from trouble
        self._drop_oldest(refused)

    def _drop_oldest(self, directory: Path) -> None:
        for stale in sorted(directory.glob("*.json"))[:-MAX_SPOOLED]:
            log.warning("too many reports are kept: the oldest goes", file=str(stale))
            stale.unlink(missing_ok=True)
