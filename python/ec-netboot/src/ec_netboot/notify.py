"""Telling systemd how it goes (sd_notify(3)); where nobody listens, nothing is said."""

from __future__ import annotations

import os
import socket


def notify(message: str) -> None:
    """Send *message*, such as ``READY=1``, to the service manager that started us. Raises `OSError`."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as client:
        client.connect("\0" + address[1:] if address.startswith("@") else address)
        client.sendall(message.encode())
