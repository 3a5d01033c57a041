"""Telling systemd how it goes, by the protocol of sd_notify(3). Without systemd, nothing happens."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MICROSECONDS = 1_000_000


class Notifier:
    """Sends messages to the socket that systemd named in *environment*. A message that cannot be sent is dropped."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        usec, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        ours = not pid or pid == str(os.getpid())
        self.watchdog: float | None = int(usec) / _MICROSECONDS if usec.isdigit() and int(usec) and ours else None
        """Seconds within which systemd wants to hear from us, None when it does not care."""

    def ready(self) -> None:
        """Say that the service works."""
        self._send("READY=1")

    def alive(self) -> None:
        """Say that this process is not stuck."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Say how it goes, in a line for people."""
        self._send(f"STATUS={text.replace(chr(10), ' ')}")

    def reloading(self, monotonic: float) -> None:
        """Say that the configuration is being read again; `ready` says that it is done."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(monotonic * _MICROSECONDS)}")

    def stopping(self) -> None:
        """Say that the service is about to end."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as endpoint:
            endpoint.setblocking(False)  # noqa: FBT003
            try:
                endpoint.sendto(message.encode(), address)
            except OSError:
                # systemd judges silence by itself; a broadcast does not end for it.
                return
