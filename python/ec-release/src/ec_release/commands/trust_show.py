"""`ec-release trust show`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - cyclopts reads annotations at run time
from typing import Annotated, Any

from cyclopts import Parameter

from ec_release import actions
from ec_release.commands.options import read_root, read_time
from ec_release.commands.place import Place
from ec_release.output import emit
from ec_release.trust.public_keys import write_public
from ec_release.trust.published import load
from ec_release.trust.standing import newest_tag, standing_of
from ec_release.trust.update import current

_PLACE = Place()


def show(
    *,
    root: Annotated[Path, Parameter(help="The pinned root.")],
    place: Place = _PLACE,
    targets: Annotated[bool, Parameter(help="List every signed asset as well.", negative=())] = False,
    public_keys: Annotated[
        Path | None, Parameter(help="Write every public key to <role>-<number>.pem in this directory.")
    ] = None,
    time: Annotated[str | None, Parameter(help="Tell what has expired at this time [now].")] = None,
    json: Annotated[bool, Parameter(help="Print the result as JSON.", negative=())] = False,
) -> None:
    """Verify what is published from the pinned root, and show keys, expiry and releases. Needs no private key.

    On a runner, the tag of the newest release becomes the output `newest` of the step, empty before the first.
    """
    published = load(place.backend(), read_root(root))
    at = read_time(time)
    if public_keys is not None:
        write_public(public_keys, published.root.signed)
    signed: dict[str, Any] = {
        "root": published.root.signed,
        "targets": published.targets.signed,
        "snapshot": published.snapshot.signed,
        "timestamp": published.timestamp.signed,
    }
    newest = published.root.signed
    assets = published.targets.signed.targets
    listed: dict[str, Any] = {
        "assets": [
            {"name": name, "sha256": target.hashes.get("sha256"), "length": target.length} | (target.custom or {})
            for name, target in sorted(assets.items())
        ]
    }
    tag = newest_tag(published.targets.signed) or ""
    actions.set_outputs({"newest": tag})
    emit(
        {
            "newest_release": tag or "none",
            "metadata": current(published),
            "standing": standing_of(published.targets.signed),
            "expires": {role: body.expires for role, body in signed.items()},
            "expired": [role for role, body in signed.items() if body.is_expired(at)],
            "thresholds": {role: keys.threshold for role, keys in newest.roles.items()},
            "keys": [{"role": role, "key": keyid} for role in signed for keyid in newest.roles[role].keyids],
            "targets": len(assets),
        }
        | (listed if targets else {}),
        as_json=json,
    )
