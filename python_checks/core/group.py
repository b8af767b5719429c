"""Start a program in a process group of its own, which does not outlive the block that started it."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from typing import Any

LAST_WAIT = 1.0  # seconds for a killed program to go; one that hangs in the driver (state D) never does


@contextlib.contextmanager
def started(arguments: Sequence[str], **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """Give the running program; at the end of the block all of its group is killed, unless it was waited for.

    An interrupt that comes while the program starts waits until its id is known; otherwise nobody could end it.

    Args:
        arguments: The program, found on PATH, and its arguments.
        options: More for `subprocess.Popen`.

    Raises:
        FileNotFoundError, PermissionError: there is no such program, or it may not be run.
    """
    child = None
    try:
        with _held():
            child = subprocess.Popen(arguments, start_new_session=True, **options)
        yield child
    finally:
        if child and child.returncode is None:
            # Before it is waited for: until then its id, which is the group's, is nobody else's.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(LAST_WAIT)
            if child.stdout:
                child.stdout.close()


@contextlib.contextmanager
def _held() -> Iterator[None]:
    """Let interrupts wait until the end of the block; only the main thread hears of any."""
    handlers, came = {}, []
    if threading.current_thread() is threading.main_thread():
        for number in signal.SIGINT, signal.SIGTERM:
            if callable(handler := signal.getsignal(number)):
                handlers[number] = handler
                signal.signal(number, lambda each, _: came.append(each))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for each in came:
            signal.raise_signal(each)
