"""What the canary asks a server: its counters, and for one tiny chat."""

import random
import time
from dataclasses import replace

from python_checks.api import metrics
from python_checks.api.http import Reply
from python_checks.api.http_errors import NoAnswerError, OddReplyError, SeveredError
from python_checks.api.light import Light
from python_checks.api.openai import PATH, begun, choice
from python_checks.canary.liveness import Chat, Look
from python_checks.core.result import CheckError, State
from python_checks.core.say import say

STEP = 30.0  # seconds for a request of one full step
ORDINARY = (1000, 30000)  # ids of tokens that every vocabulary has
LOOK = 3.0  # seconds for /metrics; two looks and the chat, three times, are to fit into 90 s


def look(base: str) -> Look:
    """Ask for the counters and the queue."""
    try:
        reply = Light("GET", base + metrics.PATH, None, LOOK).result()
        return Look(metrics.counters(reply), metrics.queue(reply))
    except (NoAnswerError, SeveredError):
        return Look()
    except CheckError as error:
        return Look(blind=error.fault.reason)


def converse(base: str, model: str, timeout: float) -> Chat:
    """Send one tiny chat, as the one that ends a start.

    Raises:
        CheckError: it could not be sent.
    """
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "Hello"}],
        "temperature": 0,
        "max_tokens": 16,
    }
    start = time.monotonic()
    try:
        reply = Light("POST", base + PATH, body, timeout).result()
    except NoAnswerError as error:
        return Chat("late", error.fault.reason, time.monotonic() - start)
    except SeveredError as error:
        return Chat("gone", error.fault.reason, time.monotonic() - start)
    except OddReplyError as error:
        return Chat("refused", error.fault.reason, time.monotonic() - start)
    except CheckError as error:  # the way there is broken, which proves nothing about the server
        raise CheckError(replace(error.fault, state=State.UNKNOWN)) from error
    seconds = time.monotonic() - start
    try:
        first = choice(reply)
    except CheckError as error:
        return Chat(kind(reply), error.fault.reason, seconds)
    if fault := begun(first, "chat"):
        return Chat(
            "failed" if first.get("finish_reason") in ("abort", "error") else "nonsense",
            fault.reason,
            seconds,
        )
    return Chat("answered", say("answered in {seconds:.2f} s", seconds=seconds), seconds)


def full_step(base: str, model: str, tokens: int) -> float:
    """Have the engines read as many tokens as fit into one step, and return how many seconds that took, STEP at most.

    It is 0 where the server refuses: it may serve no completions, or shorter ones.
    """
    # Others each time, or the cache would know them.
    prompt = [random.randrange(*ORDINARY) for _ in range(tokens)]
    body = {"model": model, "prompt": prompt, "temperature": 0, "max_tokens": 1}
    start = time.monotonic()
    try:
        reply = Light("POST", f"{base}/v1/completions", body, STEP).result()
    except NoAnswerError:
        return STEP
    except CheckError:
        return 0.0
    return time.monotonic() - start if reply.status == 200 else 0.0


def kind(reply: Reply) -> str:
    """Tell whose fault a reply without an answer is."""
    if reply.status == 503:
        return "full"
    return "failed" if reply.status >= 500 else "refused"
