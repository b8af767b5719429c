"""Run a program of the host under a hard deadline: its whole process group dies with it."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from python_checks.core import group
from python_checks.core.say import say


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
    pipe = subprocess.PIPE
    with group.started(
        arguments,
        stdin=pipe,
        stdout=pipe,
        stderr=subprocess.STDOUT,
        env=os.environ | {"LC_ALL": "C"},
    ) as child:
        try:
            raw, _ = child.communicate(given.encode(), timeout=timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(
                say("{program} gave no answer within {seconds:g} s", program=arguments[0], seconds=timeout)
            ) from None
    return Output(child.returncode, raw.decode("utf-8", "replace"))
