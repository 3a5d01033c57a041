"""`runner-dashboard healthcheck`."""

from __future__ import annotations

import http.client
import sys

from runner_dashboard.commands.options import Common

_TIMEOUT = 5.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is listened on, not what is opened


def healthcheck(*, ready: bool = False, common: Common = Common()) -> int:
    """Ask the server that this configuration describes whether it is well; exit 1 when it is not.

    Parameters
    ----------
    ready: bool
        Ask for readiness (the database can be used) instead of life.
    """
    server = common.load().server
    connection = http.client.HTTPConnection(_ANYWHERE.get(server.host, server.host), server.port, timeout=_TIMEOUT)
    path = "/readyz" if ready else "/healthz"
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"runner-dashboard: {path} was not answered: {error}\n")
        return 1
    finally:
        connection.close()
    if status != http.HTTPStatus.OK:
        sys.stderr.write(f"runner-dashboard: {path} was answered with {status}\n")
        return 1
    return 0
