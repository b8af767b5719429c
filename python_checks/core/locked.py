"""Keep others off a file while it is worked on; the lock lies beside it, and its holder's end frees it."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from python_checks.core.result import CheckError, Fault, State
from python_checks.core.say import say

PAUSE = 0.1  # seconds between two tries


@contextmanager
def locked(path: Path, seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock of a file, which need not exist; only root and the directory's owner may.

    Args:
        path: The file.
        seconds: For how long another holder is waited for.

    Raises:
        CheckError: another one holds it all the while.
        OSError: there is no place for it.
    """
    end = time.monotonic() + seconds
    name = path.with_name(f".{path.name}.lock")
    lock = _opened(name)
    try:
        while not _taken(lock):
            if time.monotonic() >= end:
                words = say("another run is at work with {path}", path=path)
                raise CheckError(Fault(words, say("let it end, and ask again"), State.UNKNOWN))
            time.sleep(PAUSE)
        yield
    finally:
        os.close(lock)


def _opened(name: Path) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        lock = os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(name, flags)
    if os.geteuid() == 0:  # else a service could not hold a lock that root made in its directory
        place = name.parent.stat()
        os.fchown(lock, place.st_uid, place.st_gid)
    return lock


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
