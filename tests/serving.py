"""Servers in the process of a test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import TCPServer


@contextmanager
def running(server: TCPServer) -> Iterator[str]:
    """Have a server serve while the block runs; yield its URL.

    Closed without an end, its thread would poll a closed descriptor again and again: one such thread took a core from all later tests.
    """
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
