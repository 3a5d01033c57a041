"""What the courier sent. It cannot remove a report from the spool, which is not its own; who owns that does, later.

The courier's word can lose a report (it need not send one either), and nothing else: of the spool's files only
those go whose name and bytes it names, and what was sent is kept beside (`report.directory`).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import structlog

from ec_closure import canonical, foreign
from ec_closure.courier import LEDGER_FILE, MAX_BYTES, MAX_SENT, Ledger, SentReport
from ec_closure.errors import EcError
from ec_verify.report.submit import refusal
from ec_verify.state import write_file

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.report.submit import Spool, SubmitError

log = structlog.get_logger()


def read(directory: Path) -> Ledger:
    """Return the courier's ledger, empty where there is none. Raises `ForeignFileError`, `BadInputError`."""
    data = foreign.read(directory, LEDGER_FILE, MAX_BYTES)
    if data is None:
        return Ledger()
    return canonical.decode(data, Ledger, what=str(directory / LEDGER_FILE), max_bytes=MAX_BYTES)


def settle(spool: Spool, ledger: Ledger) -> None:
    """Take out of *spool* what *ledger* says is through. Hold the lock of the state directory. Raises `StateError`."""
    said = {one.name: one for one in ledger.reports}
    for file in spool.waiting():
        entry = said.get(file.name)
        envelope = spool.read(file) if entry is not None else None
        if entry is None or envelope is None or digest(envelope) != entry.sha256:
            continue
        if entry.refused is None:
            spool.remove(file)
        else:
            spool.set_aside(file)


def unsent(spool: Spool, ledger: Ledger) -> list[Path]:
    """Return what still waits, also in the eyes of the courier."""
    said = {one.name for one in ledger.reports}
    return [file for file in spool.waiting() if file.name not in said]


def digest(envelope: bytes) -> str:
    """Return the SHA-256 of *envelope* in hexadecimal."""
    return hashlib.sha256(envelope).hexdigest()


class Book:
    """The ledger in the courier's own *directory*, written after each report. Methods raise `StateError`."""

    def __init__(self, directory: Path, spool: Spool) -> None:
        self._directory = directory
        there = {file.name for file in spool.waiting()}
        try:
            found = read(directory).reports
        except EcError as error:
            # Then reports are sent twice, which every dashboard answers with 208.
            log.warning("the ledger of sent reports starts anew", reason=str(error))
            found = ()
        self._entries = [one for one in found if one.name in there]

    @property
    def ledger(self) -> Ledger:
        """What is written by now."""
        return Ledger(reports=tuple(self._entries[-MAX_SENT:]))

    def knows(self, file: Path) -> bool:
        """Tell whether *file* is through."""
        return any(one.name == file.name for one in self._entries)

    def accepted(self, file: Path, envelope: bytes) -> None:
        """Note that the dashboard has *envelope*."""
        self._add(SentReport(name=file.name, sha256=digest(envelope)))

    def refused(self, file: Path, envelope: bytes, error: SubmitError) -> None:
        """Note that the dashboard will never take *envelope*."""
        self._add(refusal(file, envelope, error))

    def _add(self, entry: SentReport) -> None:
        self._entries.append(entry)
        write_file(self._directory / LEDGER_FILE, canonical.encode(self.ledger))
