"""vLLM's queue, as /metrics tells it."""

import re
from dataclasses import dataclass

from python_checks.http import Reply, refusal
from python_checks.result import CheckError, Fault, State
from python_checks.words import count

PATH = "/metrics"


@dataclass(frozen=True)
class Queue:
    """Requests that the engines work on, and those that wait for it."""

    running: int
    waiting: int

    @property
    def idle(self) -> bool:
        """Tell whether there is nothing to do."""
        return self.running + self.waiting == 0

    def __str__(self) -> str:
        """Return it in words."""
        return f"{count(self.running, 'request')} running, {self.waiting or 'none'} waiting"


def queue(reply: Reply) -> Queue:
    """Read the two gauges, summed over the engines.

    Raises:
        CheckError: they are not there.
    """
    running, waiting = (_gauge(f"vllm:num_requests_{name}", reply.text) for name in ("running", "waiting"))
    if reply.status != 200 or running is None or waiting is None:
        words = f"{PATH} says {reply.status} and tells no queue"
        if reply.status != 200:
            words += f": {refusal(reply)}"
        raise CheckError(
            Fault(words, "is it vLLM, and without --disable-log-stats? see its log", State.UNKNOWN)
        )
    return Queue(running, waiting)


def _gauge(name: str, text: str) -> int | None:
    values = re.findall(rf"(?m)^{re.escape(name)}(?:\{{.*\}})? ([0-9.eE+-]+)$", text)
    return round(sum(map(float, values))) if values else None
