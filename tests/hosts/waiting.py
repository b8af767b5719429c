"""Wait for things, always with a deadline."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class HostsError(Exception):
    """What the caller of ``hosts.py`` has to read."""


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise HostsError(f"not within {seconds:g} s: {what}")
        time.sleep(0.1)


@contextmanager
def locked(path: Path, seconds: float, what: str) -> Iterator[int]:
    """Hold the lock of a file or directory, which must exist; a process that inherits the descriptor holds it on."""
    descriptor = os.open(path, os.O_RDONLY)

    def taken() -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    try:
        until(taken, seconds, f"{what} ({path} is locked by another process)")
        yield descriptor
    finally:
        os.close(descriptor)
