"""Work in a process of its own that has become another user: it is that user's to stop it and to lie, so its word has bounds."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import select
import signal
import time
from collections.abc import Callable
from typing import Any

SAID = 2**20  # bytes


def ask(account: pwd.struct_passwd | None, work: Callable[[], Any], seconds: float) -> Any:
    """Return what ``work`` returns, something that JSON holds; without an account the process stays who it is.

    Raises:
        ValueError: ``work`` failed, or gave no answer within ``seconds``.
    """
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setsid()
            if account:
                os.initgroups(account.pw_name, account.pw_gid)
                os.setgid(account.pw_gid)
                os.setuid(account.pw_uid)
            answer = {"found": work()}
        except Exception as error:  # the parent tells it
            answer = {"error": str(error)}
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    said = listen(reading, seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # that user may have stopped it
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    try:
        answer = json.loads(said)
    except (ValueError, RecursionError):
        answer = {}
    answer = answer if isinstance(answer, dict) else {}
    if "found" in answer:
        return answer["found"]
    raise ValueError(answer.get("error", f"no answer within {seconds:g} s"))


def listen(reading: int, seconds: float) -> bytes:
    """Return what a process says until it ends, within bounds of time and size."""
    said, deadline = b"", time.monotonic() + seconds
    with os.fdopen(reading, "rb", buffering=0) as file:
        while len(said) < SAID and (left := deadline - time.monotonic()) > 0:
            if not select.select([file], [], [], left)[0] or not (more := file.read(2**16)):
                break
            said += more
    return said
