"""Run a program that tells its stages through a pipe: they are shown as it goes, and one that lasts too long ends it."""

import json
import os
import selectors
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from python_checks.core import group
from python_checks.core.result import CheckError, Fault, State
from python_checks.core.say import say
from python_checks.core.throttle import Throttle

PAUSE = 0.1  # seconds between two looks
REMEDY = say("a slow disk or a busy host needs a longer vllm_config_seconds (--deadline)")


@dataclass(frozen=True)
class Outcome:
    """What a program said at its end (None when it died before), its last stage, and its exit code."""

    end: dict[str, Any] | None
    stage: str
    code: int


class Run:
    """One run of a program; its whole process group ends with it.

    Args:
        program: The command before the number of the pipe.
        arguments: What comes behind that number.
        environment: All of it.
        output: File for what the program prints.
    """

    def __init__(
        self, program: Sequence[str], arguments: Sequence[str], environment: Mapping[str, str], output: Path
    ) -> None:
        """Keep what is to be run."""
        self._program, self._arguments = program, arguments
        self._environment, self._output = environment, output
        self.start = self._moved = time.monotonic()
        self.stage, self.end = say("starting Python"), None
        self._throttle = Throttle()
        self._rest = b""

    def outcome(self, limit: float) -> Outcome:
        """Start it, wait for its end, show the stages on standard error.

        Raises:
            CheckError: a stage lasted longer than `limit` seconds; the program was killed.
        """
        self._pipe, there = os.pipe()
        with open(self._pipe, "rb"), open(there, "wb") as its, self._output.open("wb") as file:
            with group.started(
                [*self._program, str(there), *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self._environment,
                pass_fds=(there,),
            ) as child:
                its.close()
                self._follow(child, limit)
            while self._read():  # what it wrote last
                pass
        return Outcome(self.end, self.stage, child.returncode)

    def _follow(self, child: "subprocess.Popen[bytes]", limit: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ)
            while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                if selector.select(PAUSE) and not self._read():
                    selector.unregister(self._pipe)
                self._throttle.tell(self.stage, f" ({time.monotonic() - self.start:.0f} s)")
                if time.monotonic() - self._moved > limit:
                    words = say(
                        "no verdict: {stage} has lasted longer than {limit:g} s",
                        stage=self.stage,
                        limit=limit,
                    )
                    raise CheckError(Fault(words, REMEDY, State.UNKNOWN))

    def _read(self) -> bool:
        """Take what the pipe holds; False when nothing can come any more."""
        data = os.read(self._pipe, 65536)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for event in map(json.loads, lines):
            self._moved = time.monotonic()
            self.stage = event.get("stage", self.stage)
            self.end = event.get("end", self.end)
        return bool(data)
