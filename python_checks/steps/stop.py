"""End vLLM: SIGTERM, then its last requests; once its engine is gone, end what would wait for that engine for ever."""

import argparse
import os
import signal
import time
from contextlib import suppress

from python_checks.core import notify
from python_checks.core import options as opt
from python_checks.core.result import Fault, Result, conclude
from python_checks.core.say import say
from python_checks.host import processes
from python_checks.service import engines

NEEDS: tuple[str, ...] = ()

PAUSE = 0.2  # seconds between two looks
# The API server hands on what arrives while its engine ends (6 s). Nobody answers that, and uvicorn waits for the answers without a limit.
GRACE = 3.0  # seconds after the end of the engine in which the API server may end by itself


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    parser.add_argument("--pid", type=opt.pid, required=True, help="main process, the API server")
    opt.add_deadline(parser, 40.0, "stop; then the process is killed")


def run(options: argparse.Namespace) -> Result:
    """Send signals until the process has ended, with the phase in systemd's status."""
    pid, process, start = options.pid, processes.stat(options.pid), time.monotonic()
    engine = [other for other in engines.find() if engines.is_engine(other) and processes.belongs(other, pid)]
    gone: float | None = None  # when the engine was first seen to be gone
    how, faults = say("by itself"), []
    notify.status(say("stopping: answering the last requests"))
    _send(pid, signal.SIGTERM)
    while process and (now := processes.stat(pid)) and now.started == process.started:
        passed = time.monotonic() - start
        if gone is None and engine and not any(map(processes.stat, engine)):
            gone = passed
        if gone is not None and passed > gone + GRACE:
            # Not handled by vLLM, so it ends at once, and systemd takes it for a clean end, as it does not with SIGKILL.
            how = say("by SIGHUP, for it waited for its engine, which was gone")
            _send(pid, signal.SIGHUP)
        if passed > options.deadline:
            _send(pid, signal.SIGKILL)
            words = say(
                "process {pid} did not end within {deadline:g} s of SIGTERM, so it was killed",
                pid=pid,
                deadline=options.deadline,
            )
            faults = [Fault(words, say("its log tells what it waited for"))]
            break  # what hangs in a driver outlives even that, and would be waited for without an end
        time.sleep(PAUSE)
    ended = say("ended {how} after {monotonic:.0f} s", how=how, monotonic=time.monotonic() - start)
    notify.status(say("stopped: {reason}", reason=faults[0].reason if faults else ended))
    return conclude("stop", faults, say("process {pid} {ended}", pid=pid, ended=ended))


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
