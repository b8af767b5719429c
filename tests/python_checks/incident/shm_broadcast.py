"""A child that waits as a process of vLLM does: its functions have the names of vLLM's, and the last waits for a pipe."""

import contextlib
import sys
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def acquire_read() -> Iterator[str]:
    """Wait for what never comes."""
    secret = "a prompt that nobody may read"  # what a stack with variables would show
    print("ready", flush=True)
    threading.Event().wait()
    yield secret


def dequeue() -> str:
    """Wait for a message."""
    with acquire_read() as message:
        return message


if __name__ == "__main__":
    sys.exit(dequeue())
