"""`ec-verify submit`: send the reports that wait."""

from __future__ import annotations

import sys

import msgspec

from ec_closure.courier import SubmitOutput
from ec_verify.commands.options import Common
from ec_verify.courier import own
from ec_verify.courier.ledger import Book
from ec_verify.errors import ConfigError
from ec_verify.report.submit import Dashboard, Spool
from ec_verify.state import State
from ec_verify.text import printable


def submit(*, common: Common = Common()) -> int:
    """Send the reports that wait in the spool, oldest first.

    Needs no rights but to read the spool, and to write to courier.directory: there it notes what it sent, and the next
    run removes that from the spool. As the owner of the spool it removes it itself. Exits with 0 when nothing waits any
    more, with 3 otherwise. A report that the dashboard refuses for good is told, set aside, and does not wait.
    """
    config = common.settings().config
    spool = Spool(config.spool)
    dashboard = Dashboard.of(config.report)
    if dashboard is None:
        raise ConfigError("no dashboard is named", place="report.url", hint="set it in verify.toml or in node.toml")
    if spool.is_ours:
        with State(config.state).lock():
            done = spool.send(dashboard)
    else:
        directory = own.opened(config)
        with State(directory).lock():
            done = spool.send(dashboard, Book(directory, spool))
    if common.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(done), indent=2).decode() + "\n")
    else:
        _print(done)
    return 3 if done.waiting else 0


def _print(done: SubmitOutput) -> None:
    sys.stdout.writelines(f"sent     {printable(name)}\n" for name in done.sent)
    sys.stdout.writelines(f"refused  {printable(one.name)}: {printable(one.refused or '')}\n" for one in done.refused)
    if done.waiting:
        sys.stdout.write(f"{len(done.waiting)} reports wait: {printable(done.reason or 'nobody was asked')}\n")
    elif not done.sent and not done.refused:
        sys.stdout.write("nothing waits\n")
