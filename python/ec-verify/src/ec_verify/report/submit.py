"""Sending reports to the dashboard; what cannot be sent waits in the spool. Contract: docs/report-api.md."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import stamina
import structlog

from ec_closure.errors import TransportError
from ec_verify.errors import ConfigError
from ec_verify.state import write_file

if TYPE_CHECKING:
    from ec_verify.config import ReportTable

log = structlog.get_logger()

MEDIA_TYPE = "application/vnd.dsse.envelope+json"
MAX_SPOOLED = 500
_TIMEOUT = 30.0
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_ACCEPTED = frozenset({200, 201, 202, 208})


class SubmitError(TransportError):
    """The dashboard did not take a report. *final* says that sending the same bytes again is pointless."""

    code = "verify.submit"

    def __init__(self, message: str, *, place: str, final: bool) -> None:
        super().__init__(message, place=place, hint="the report stays in the spool and is sent with the next one")
        self.final = final


class _TemporaryError(Exception):
    """Worth another try."""


@dataclass(frozen=True)
class Dashboard:
    """Where reports go: *url* without a slash at its end, *token* for the Authorization header."""

    url: str
    token: str | None = None
    attempts: int = 4

    @classmethod
    def of(cls, table: ReportTable) -> Dashboard | None:
        """Return the dashboard that the configuration names, None when it names none."""
        if not table.url:
            return None
        token = None
        if table.token_file:
            try:
                token = Path(table.token_file).read_text().strip()
            except OSError as error:
                raise ConfigError(f"cannot be read: {error.strerror}", place=table.token_file) from error
        return cls(table.url.rstrip("/"), token)

    def nonce(self) -> str | None:
        """Ask for a nonce that makes the next report fresh; None when the dashboard does not answer now."""
        try:
            answer = self._request("POST", "/api/v1/nonces", None, attempts=1)
            found = answer.json().get("nonce")
        except (SubmitError, ValueError, AttributeError) as error:
            log.info("no nonce: the report will count as late", reason=str(error))
            return None
        return found if isinstance(found, str) and 16 <= len(found) <= 256 else None  # noqa: PLR2004 - Report.nonce

    def send(self, envelope: bytes) -> None:
        """Send one report. Raises `SubmitError`."""
        self._request("POST", "/api/v1/reports", envelope, attempts=self.attempts)

    def _request(self, method: str, path: str, body: bytes | None, *, attempts: int) -> httpx2.Response:
        place = self.url + path
        headers = {"Content-Type": MEDIA_TYPE, "Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            for attempt in stamina.retry_context(on=(_TemporaryError, httpx2.TransportError), attempts=attempts):
                with attempt, httpx2.Client(timeout=_TIMEOUT, trust_env=False, follow_redirects=False) as client:
                    answer = _settled(client.request(method, place, content=body, headers=headers))
        except (_TemporaryError, httpx2.TransportError) as error:
            raise SubmitError(str(error) or type(error).__name__, place=place, final=False) from error
        except (httpx2.InvalidURL, httpx2.HTTPError) as error:
            raise SubmitError(str(error), place=place, final=True) from error
        if answer.status_code not in _ACCEPTED:
            raise SubmitError(f"answered {answer.status_code}: {answer.text[:200]}", place=place, final=True)
        return answer


def _settled(answer: httpx2.Response) -> httpx2.Response:
    if answer.status_code in _TRY_AGAIN:
        raise _TemporaryError(f"answered {answer.status_code}")
    return answer


class Spool:
    """Reports that wait, oldest first, at most `MAX_SPOOLED`; the oldest go when there are more."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def add(self, name: str, envelope: bytes) -> None:
        """Keep *envelope* under a *name* that sorts by age."""
        write_file(self._directory / f"{name}-{secrets.token_hex(2)}.json", envelope)
        for stale in self.waiting()[:-MAX_SPOOLED]:
            log.warning("the spool is full: the oldest report goes", file=str(stale))
            stale.unlink(missing_ok=True)

    def waiting(self) -> list[Path]:
        """Return what waits, oldest first."""
        return sorted(self._directory.glob("*.json")) if self._directory.is_dir() else []

    def send(self, dashboard: Dashboard) -> int:
        """Send what waits, in order, and return how many went. Stops at the first that cannot be sent now.

        A report that the dashboard refuses for good is moved aside to `refused`, never dropped.
        """
        sent = 0
        for file in self.waiting():
            try:
                dashboard.send(file.read_bytes())
            except SubmitError as error:
                if not error.final:
                    log.warning("a report waits in the spool", reason=str(error), waiting=len(self.waiting()))
                    break
                log.warning("the dashboard refuses a report for good", reason=str(error), file=file.name)
                write_file(self._directory / "refused" / file.name, file.read_bytes())
                file.unlink()
            else:
                file.unlink()
                sent += 1
        return sent
