"""vLLM's queue and what its engines have done, as /metrics tells it."""

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


@dataclass(frozen=True)
class Counters:
    """What the engines have done since they started; it stands still where none makes a step.

    Attributes:
        steps: Of the engines (observations of the histogram vllm:iteration_tokens_total).
        prompt: Tokens read.
        generated: Tokens written.
    """

    steps: int
    prompt: int
    generated: int


def queue(reply: Reply) -> Queue:
    """Read the two gauges, summed over the engines.

    Raises:
        CheckError: they are not there.
    """
    return Queue(*_read(reply, "queue", "vllm:num_requests_running", "vllm:num_requests_waiting"))


def counters(reply: Reply) -> Counters:
    """Read the counters, summed over the engines.

    Raises:
        CheckError: they are not there.
    """
    names = ("vllm:iteration_tokens_total_count", "vllm:prompt_tokens_total", "vllm:generation_tokens_total")
    return Counters(*_read(reply, "counters", *names))


def _read(reply: Reply, what: str, *names: str) -> list[int]:
    found = [_sum(name, reply.text) for name in names] if reply.status == 200 else []
    numbers = [number for number in found if number is not None]
    if len(numbers) < len(names):
        words = f"{PATH} says {reply.status} and tells no {what}"
        if reply.status != 200:
            words += f": {refusal(reply)}"
        raise CheckError(
            Fault(words, "is it vLLM, and without --disable-log-stats? see its log", State.UNKNOWN)
        )
    return numbers


def _sum(name: str, text: str) -> int | None:
    values = re.findall(rf"(?m)^{re.escape(name)}(?:\{{.*\}})? ([0-9.eE+-]+)$", text)
    return round(sum(map(float, values))) if values else None
