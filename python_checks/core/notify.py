"""Tell systemd what goes on (sd_notify(3)), so that `systemctl status` shows it."""

import os
import socket

from python_checks.core.result import one_line


def status(words: str) -> None:
    """Send STATUS= to the socket that systemd named in NOTIFY_SOCKET; without one do nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(
                f"STATUS={one_line(words)}".encode(), "\0" + address[1:] if address[0] == "@" else address
            )
        except OSError:  # the status line is a courtesy: never fail a start for it
            return
