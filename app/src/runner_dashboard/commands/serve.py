"""`runner-dashboard serve`."""

from __future__ import annotations

import sys

import structlog

from runner_dashboard import server
from runner_dashboard.commands.options import Common
from runner_dashboard.identity.secrets import Secret

log = structlog.get_logger()


def serve(*, common: Common = Common()) -> int:
    """Serve pages, API and nodes until SIGTERM or SIGINT, then finish what runs.

    At first start an administrator's token is made and printed on standard output, once: with it you sign in. With
    `identity.bootstrap_token_file` that file's token is taken instead, and nothing is printed.
    """
    config = common.load()
    for remark in config.remarks():
        log.warning(remark)
    with server.opened(config) as services, server.listen(config) as listening:
        host, port = listening.getsockname()[:2]

        def ready(made: Secret | None) -> None:
            if made is not None:
                sys.stdout.write(f"First start. Sign in with this token, which is shown only now:\n{made.render()}\n")
                sys.stdout.flush()
            log.info("serving", address=f"http://{host}:{port}", database=services.database.place)

        server.serve(services, listening, ready)
    return 0
