"""Sending reports to the dashboard; what cannot be sent waits in the spool. Contract: docs/report-api.md."""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import httpx2
import msgspec
import stamina
import structlog

from ec_closure import strict_json
from ec_closure.courier import Nonce, SentReport, SubmitOutput
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

    from ec_verify.config_tables import ReportTable

log = structlog.get_logger()

MEDIA_TYPE = "application/vnd.dsse.envelope+json"
MAX_SPOOLED = 500
_PATIENCE = 5
"""How many reports may be refused for now before the rest waits untried."""
_TIMEOUT = 30.0
_DEADLINE = 300.0
"""Seconds for one request in all, whatever the other side does byte by byte."""
_MAX_ANSWER = 1 << 16
_MAX_SAID = 500
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
    nonce: Nonce


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


class Done(Protocol):
    """Where it is noted that a report is through."""

    def knows(self, file: Path) -> bool:
        """Tell whether *file* is through."""

    def accepted(self, file: Path, envelope: bytes) -> None:
        """Note that the dashboard took *envelope*."""

    def refused(self, file: Path, envelope: bytes, error: SubmitError) -> None:
        """Note that it refused it for good."""


class Spool:
    """Reports that wait, oldest first, at most `MAX_SPOOLED`; the oldest go when there are more.

    Files are for their owner and the directory's group, which the courier is in; see `docs/configuration.md`. Methods
    raise `StateError` when the directory cannot be used.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def is_ours(self) -> bool:
        """Whether what was sent can be removed by this user."""
        place = self._directory if self._directory.exists() else self._directory.parent
        return os.access(place, os.W_OK, effective_ids=True)

    def add(self, name: str, envelope: bytes) -> None:
        """Keep *envelope* under a *name* that sorts by age."""
        write_file(self._directory / f"{name}-{secrets.token_hex(2)}.json", envelope, mode=0o640)
        self._drop_oldest(self._directory)

    def waiting(self) -> list[Path]:
        """Return what waits, oldest first."""
        try:
            found = list(self._directory.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise failed(error, self._directory) from error
        return sorted(file for file in found if file.suffix == ".json" and not file.name.startswith("."))

    def read(self, file: Path) -> bytes | None:
        """Return the envelope in *file*, one of those that waited; None when it is gone since."""
        try:
            return file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise failed(error, file) from error

    def send(self, dashboard: Dashboard, done: Done | None = None) -> SubmitOutput:
        """Send what waits, in order, and return what became of it. Stops when the dashboard does not answer.

        What is through is noted in *done*; without one it is removed, and a report that the dashboard refuses for good
        is moved aside to `refused`, never dropped. One that it refuses for now (a token that expired, an address that
        moved) stays, and a few more are tried: they may be signed with another key.
        """
        where = _Here(self) if done is None else done
        sent: list[str] = []
        refused: list[SentReport] = []
        reason: str | None = None
        patience = _PATIENCE
        for file in self.waiting():
            envelope = None if where.knows(file) else self.read(file)
            if envelope is None:
                continue
            try:
                dashboard.send(envelope)
            except SubmitError as error:
                if error.final:
                    log.warning("the dashboard refuses a report for good", reason=str(error), file=file.name)
                    where.refused(file, envelope, error)
                    refused.append(refusal(file, envelope, error))
                    continue
                reason = one_line(str(error))
                patience -= 1
                if not error.answered or not patience:
                    break
            else:
                where.accepted(file, envelope)
                sent.append(file.name)
        waiting = tuple(file.name for file in self.waiting() if not where.knows(file))
        if waiting:
            log.warning("reports wait in the spool", reason=reason, waiting=len(waiting))
        return SubmitOutput(sent=tuple(sent), refused=tuple(refused), waiting=waiting, reason=reason)

    def remove(self, file: Path) -> None:
        """Let go of a report that is through."""
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise failed(error, file) from error

    def set_aside(self, file: Path) -> None:
        """Keep a report that was refused for good where it is not sent again."""
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


def refusal(file: Path, envelope: bytes, error: SubmitError) -> SentReport:
    """Return what is noted of a report that was refused for good."""
    digest = hashlib.sha256(envelope).hexdigest()
    return SentReport(name=file.name, sha256=digest, refused=one_line(str(error), _MAX_SAID) or "refused")


class _Here:
    """The spool itself, of who may write there."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def knows(self, file: Path) -> bool:  # noqa: ARG002 - what is through is not there
        return False

    def accepted(self, file: Path, envelope: bytes) -> None:  # noqa: ARG002 - the protocol's signature
        self._spool.remove(file)

    def refused(self, file: Path, envelope: bytes, error: SubmitError) -> None:  # noqa: ARG002 - the same
        self._spool.set_aside(file)
