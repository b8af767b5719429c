"""One streamed chat on the clock: the first token, the gaps between tokens, their rate, and what holds them back."""

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

from python_checks.api.joined import accept, first_choice, says
from python_checks.api.openai import PATH, end_of
from python_checks.api.stream import Streamed, read, reads
from python_checks.core import options as opt
from python_checks.core.result import Fault, Figure, Result, State, conclude, shorten
from python_checks.core.say import count, msg, say

NEEDS: tuple[str, ...] = ("requests",)

TIMEOUT = 120.0
FEWEST = 3  # events with a token; two of them have one gap, which tells nothing
TOGETHER = 2.0  # events a read: a stream that nothing holds back has 1, and a little more on a busy host

QUEUE = say("requests wait or the engine is busy: see vllm:num_requests_waiting and _running in /metrics")
REMEDIES = {
    "ttft": QUEUE,
    "gap_p95": say(
        "{queue}; a --stream-interval of vLLM above 1 and a proxy that buffers make gaps, too", queue=QUEUE
    ),
    "tokens_per_second": QUEUE,
    "events_per_read": say(
        "a proxy holds events back: option http-no-delay in HAProxy, proxy_buffering off in nginx (or a "
        "header X-Accel-Buffering: no); ask vLLM itself to compare"
    ),
}


class Limits(NamedTuple):
    """Where a figure warns and where it fails."""

    warning: float
    critical: float


class _Limits(argparse.Action):
    """Two numbers above 0, the worse one last; `const` is True where more is better."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: Any = None) -> None:
        limits = Limits(*values)
        better, worse = reversed(limits) if self.const else limits
        if not 0 < better <= worse < float("inf"):
            raise argparse.ArgumentError(self, "wants two numbers above 0, the worse one last")
        setattr(namespace, self.dest, limits)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    opt.add_service(parser)
    opt.add_server(parser, TIMEOUT)
    add_limits(parser)


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Add where the figures warn and where they fail."""
    for name, warning, critical, more, words in (
        ("--ttft", 2, 10, False, "seconds to the first token"),
        ("--gap", 0.25, 1, False, "seconds between tokens, 95 of 100 gaps"),
        ("--rate", 10, 2, True, "tokens a second, fewer are worse"),
    ):
        parser.add_argument(
            name,
            action=_Limits,
            nargs=2,
            type=float,
            const=more,
            default=Limits(warning, critical),
            metavar=("WARNING", "CRITICAL"),
            help=f"{words} ({warning:g} {critical:g})",
        )


def request(model: str) -> dict[str, Any]:
    """Return a request for a few dozen tokens, at temperature 0 as a probe must not depend on chance."""
    message = {"role": "user", "content": "What can you do for me?"}
    return {"model": model, "messages": [message], "temperature": 0, "max_tokens": 128}


def run(options: argparse.Namespace) -> Result:
    """Ask once."""
    streamed = read(options.url + PATH, request(options.model), options.timeout)
    return judge(streamed, options.ttft, options.gap, options.rate)


def judge(streamed: Streamed, ttft: Limits, gap: Limits, rate: Limits) -> Result:
    """Judge the times at which the events came.

    Raises:
        CheckError: as `accept`.
    """
    joined = accept(streamed)
    said = [event for event in streamed.events if says(event)]
    tokens = joined.usage.get("completion_tokens")
    faults = list(joined.faults)
    figures = [Figure("ttft", event.at - streamed.start, "s", *ttft) for event in said[:1]]
    contents = [event.at for event in said if says(event, ("content",))]
    figures += [Figure("first_content", at - streamed.start, "s") for at in contents[:1]]
    if len(said) < FEWEST or not isinstance(tokens, int):
        words = say(
            "{events} with a token, {tokens} by usage: too little to judge gaps and rate",
            events=count(len(said), "{number} event", "{number} events", none=msg("no event")),
            tokens=tokens,
        )
        remedy = say("did the answer end early, or does --stream-interval of vLLM gather its tokens?")
        faults.append(Fault(words, remedy, State.UNKNOWN))
    else:
        # The last token comes with finish_reason, and may be one that says nothing.
        last = max(event.at for event in streamed.events if first_choice(event))
        figures += pace([event.at for event in said], last, tokens, gap, rate)
    faults += [fault for figure in figures for fault in over(figure)]
    evidence = {
        "finish_reason": end_of(joined.choice),
        "content": shorten(str(joined.choice["message"]["content"])),
        "tokens": tokens,
        "events": len(streamed.events),
        "reads": streamed.reads,
    }
    good = ", ".join(f"{figure.name} {value(figure)}" for figure in figures[:1])  # the others are beside it
    return replace(conclude("latency", faults, good, evidence), figures=tuple(figures))


def pace(times: Sequence[float], last: float, tokens: int, gap: Limits, rate: Limits) -> list[Figure]:
    """Return the figures of a stream whose events with tokens came at `times`, the last token at `last`."""
    gaps = [later - earlier for earlier, later in pairwise(times)]
    figures = [
        Figure("events_per_read", len(times) / reads(times), "", TOGETHER),  # first: it explains the others
        Figure("gap_p50", statistics.median(gaps), "s"),
        Figure("gap_p95", statistics.quantiles(gaps, n=20, method="inclusive")[-1], "s", *gap),
        Figure("gap_max", max(gaps), "s"),
    ]
    if last > times[0]:  # else all came at once, and events_per_read says so
        figures.append(Figure("tokens_per_second", (tokens - 1) / (last - times[0]), "", *rate))
    return figures


def over(figure: Figure) -> list[Fault]:
    """Return the fault of a figure beyond a limit; fewer tokens a second are worse, else more of anything is."""
    sign = -1 if figure.name == "tokens_per_second" else 1
    for state, limit in ((State.CRITICAL, figure.critical), (State.WARNING, figure.warning)):
        if limit is not None and figure.value * sign > limit * sign:
            return [
                Fault(
                    say(
                        "{name} is {value}, limit {limit:g}",
                        name=figure.name,
                        value=value(figure),
                        limit=limit,
                    ),
                    REMEDIES[figure.name],
                    state,
                )
            ]
    return []


def value(figure: Figure) -> str:
    """Return value and unit in words."""
    return f"{round(figure.value, 3):g} {figure.unit}".rstrip()
