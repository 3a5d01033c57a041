"""`ec-release trust init`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - cyclopts reads annotations at run time
from typing import Annotated

from cyclopts import Parameter

from ec_release.commands.options import Days, read_time
from ec_release.commands.place import Place
from ec_release.output import emit
from ec_release.trust.initialise import initialise

_DEFAULTS = Days()
_PLACE = Place()


def init(
    *,
    keys: Annotated[Path, Parameter(help="Where to put the private keys; made when it is not there.")],
    place: Place = _PLACE,
    root_threshold: Annotated[int, Parameter(help="How many root keys must sign a new root.")] = 1,
    root_keys: Annotated[int, Parameter(help="How many root keys to make.")] = 1,
    days: Days = _DEFAULTS,
    time: Annotated[str | None, Parameter(help="Sign as if it were this time [now].")] = None,
    json: Annotated[bool, Parameter(help="Print the result as JSON.", negative=())] = False,
) -> None:
    """Make keys and publish the first root, targets, snapshot and timestamp.

    Move the OFFLINE-root-*.pem files off this machine afterwards: CI never needs them.
    """
    made = initialise(
        place.backend(),
        keys,
        root_keys=root_keys,
        root_threshold=root_threshold,
        time=read_time(time),
        periods=days.periods(),
    )
    emit(
        {"move_these_off_this_machine": made.offline, "keys_for_ci": made.online, "root_to_pin": made.root},
        as_json=json,
    )
