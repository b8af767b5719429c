"""Run a program of the host under a hard deadline: its whole process group dies with it."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from python_checks.core.say import say

LAST_WAIT = 1.0  # seconds for a killed program to go; one that hangs in the driver (state D) never does


@dataclass(frozen=True)
class Output:
    """What a program printed, standard error behind standard output, and its exit code."""

    code: int
    text: str


def run(arguments: Sequence[str], timeout: float, given: str = "") -> Output:
    """Run `arguments`, found on PATH, with `given` as its standard input and in the C locale.

    Raises:
        FileNotFoundError, PermissionError: there is no such program, or it may not be run.
        TimeoutError: it gave no end within `timeout` seconds; it was killed, and is not waited for any longer.
    """
    child = subprocess.Popen(
        arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"LC_ALL": "C"},
        start_new_session=True,
    )
    try:
        raw, _ = child.communicate(given.encode(), timeout=timeout)
    except BaseException as error:  # an interrupt too
        # Before it is waited for: until then its id, which is the group's, is nobody else's.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(LAST_WAIT)
        if child.stdout:
            child.stdout.close()
        if isinstance(error, subprocess.TimeoutExpired):
            raise TimeoutError(
                say("{program} gave no answer within {seconds:g} s", program=arguments[0], seconds=timeout)
            ) from None
        raise
    return Output(child.returncode, raw.decode("utf-8", "replace"))
