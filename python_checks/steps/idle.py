"""Wait until vLLM has no request, running or waiting, or until a deadline; what still runs then is a warning."""

import argparse
import time

from python_checks.api import metrics
from python_checks.api.http import fetch
from python_checks.core import options as opt
from python_checks.core.result import CheckError, Fault, Result, State, conclude
from python_checks.core.say import say
from python_checks.core.throttle import Throttle

NEEDS: tuple[str, ...] = ("requests",)

REQUEST = 5.0  # seconds for one look
PAUSE = 1.0  # seconds between two looks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    opt.add_service(parser)
    opt.add_url(parser)
    opt.add_deadline(parser, 300.0, "wait")


def run(options: argparse.Namespace) -> Result:
    """Ask for the queue until it is empty, with progress on standard error."""
    start, throttle = time.monotonic(), Throttle()
    while True:
        passed = time.monotonic() - start
        try:
            queue = metrics.queue(fetch("GET", options.url + metrics.PATH, REQUEST))
            words = str(queue)
            if queue.idle:
                return conclude(
                    "idle", [], say("no request running or waiting after {passed:.0f} s", passed=passed)
                )
        except CheckError as error:
            words = error.fault.reason
            if words.startswith("connection refused"):
                return conclude(
                    "idle", [], say("nothing answers at {url}, so nothing is under way", url=options.url)
                )
            if error.fault.state is State.UNKNOWN:  # what answers tells no queue, and will not later
                raise
        if passed >= options.deadline:
            remedy = say(
                "SIGTERM gives it its last seconds (vllm_shutdown_timeout); for more: -e drain_seconds=…"
            )
            return conclude(
                "idle",
                [
                    Fault(
                        say("{words} after {passed:.0f} s", words=words, passed=passed), remedy, State.WARNING
                    )
                ],
                "",
            )
        throttle.tell(words, f", {options.deadline - passed:.0f} s left")
        time.sleep(min(PAUSE, max(0.0, options.deadline - passed)))
