"""Asking the local network for HDHomeRun tuners."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from ec_closure.broadcast_input import Tuner
from ec_node import hdhomerun
from ec_node.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ec_closure.broadcast_input import Input
    from ec_node.hdhomerun import Device

EVERYBODY = "255.255.255.255"
_ROUNDS = 3
_MAX_DEVICES = 256


def find(
    device: str | None = None,
    *,
    target: tuple[str, int] = (EVERYBODY, hdhomerun.PORT),
    seconds: float = 2.0,
    clock: Callable[[], float] = time.monotonic,
) -> list[Device]:
    """Return the tuners that answer within *seconds*, by their ids; of one *device*, as soon as it answers.

    The question is asked several times, since datagrams get lost. Raises `InputError` when it cannot be asked at all.
    """
    found: dict[str, Device] = {}
    packet = hdhomerun.request(device)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            begun = clock()
            for asked in range(1, _ROUNDS + 1):
                endpoint.sendto(packet, target)
                until = begun + seconds * asked / _ROUNDS
                while (left := until - clock()) > 0 and len(found) < _MAX_DEVICES:
                    endpoint.settimeout(left)
                    try:
                        data, (host, *_) = endpoint.recvfrom(1 << 12)
                    except TimeoutError:
                        break
                    answer = hdhomerun.parse_reply(data, host)
                    if answer is None or (device is not None and answer.device != device.upper()):
                        continue
                    found.setdefault(answer.device, answer)
                    if device is not None:
                        return [answer]
    except OSError as error:
        raise InputError(
            f"tuners cannot be asked for: {(error.strerror or str(error)).lower()}",
            hint="name the tuner by its address: hdhomerun://ADDRESS/CHANNEL",
        ) from error
    return sorted(found.values())


def host_of(source: Input) -> str | None:
    """Return where the tuner is that *source* names by its device, None when it names none. Raises `InputError`."""
    if not isinstance(source, Tuner) or source.device is None:
        return None
    found = find(source.device)
    if not found:
        raise InputError(
            f"no tuner {source.device} answers on this network",
            place="input",
            hint="`ec-node discover` lists those that do; across routers, name it by its address",
        )
    return found[0].host
