"""vLLM's queue and what its engines have done, as /metrics tells it."""

import re
from dataclasses import dataclass

from python_checks.api.http import Reply, refusal
from python_checks.core.result import CheckError, Fault, State, shorten
from python_checks.core.say import count, msg, say

PATH = "/metrics"
VALUE = r"(?m)^{}(?:\{{.*\}})? (\S{{1,40}})(?: -?\d+)?$"  # name, labels, value, time
MOST = 2.0**63  # of a counter that has run for years


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
        return say(
            "{requests} running, {waiting} waiting",
            requests=count(self.running, "{number} request", "{number} requests", none=msg("no request")),
            waiting=self.waiting or say("none"),
        )


@dataclass(frozen=True)
class Counters:
    """What the engines have done since they started; it stands still where none makes a step.

    Attributes:
        steps: Of the engines (observations of the histogram vllm:iteration_tokens_total).
        prompt: Tokens read.
        generated: Tokens written.
        cache: Share of the KV cache that is in use, from 0 to 1. vLLM counts no step that ends no prompt and writes no token: while it
            reads a long prompt in pieces, only this moves (seen with 0.32).
    """

    steps: int
    prompt: int
    generated: int
    cache: float = 0.0


def queue(reply: Reply) -> Queue:
    """Read the two gauges, summed over the engines.

    Raises:
        CheckError: they are not there.
    """
    gauges = _read(reply, "queue", "vllm:num_requests_running", "vllm:num_requests_waiting")
    return Queue(*map(round, gauges))


def counters(reply: Reply) -> Counters:
    """Read the counters, summed over the engines.

    Raises:
        CheckError: they are not there.
    """
    names = ("vllm:iteration_tokens_total_count", "vllm:prompt_tokens_total", "vllm:generation_tokens_total")
    steps, prompt, generated, cache = _read(reply, "counters", *names, "vllm:kv_cache_usage_perc")
    return Counters(round(steps), round(prompt), round(generated), cache)


def _read(reply: Reply, what: str, *names: str) -> list[float]:
    words = say("{path} says {status} and tells no {what}", path=PATH, status=reply.status, what=what)
    remedy = say("is it vLLM, and without --disable-log-stats? see its log")
    if reply.status != 200:
        raise CheckError(
            Fault(say("{words}: {refusal}", words=words, refusal=refusal(reply)), remedy, State.UNKNOWN)
        )
    numbers = []
    for name in names:
        values = re.findall(VALUE.format(re.escape(name)), reply.text)
        counts = [_count(value) for value in values]
        odd = [value for value, count in zip(values, counts, strict=True) if count is None]
        if odd or not values:
            words += say(": {name} is {value}", name=name, value=shorten(odd[0], 40)) if odd else ""
            raise CheckError(Fault(words, remedy, State.UNKNOWN))
        numbers.append(sum(count for count in counts if count is not None))
    return numbers


def _count(value: str) -> float | None:
    """Return a number of requests, steps or tokens, or a share; None for what can be none."""
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number <= MOST else None
