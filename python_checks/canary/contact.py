"""What the canary asks a server: its counters, and for one tiny chat."""

import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from python_checks.api import embeddings, metrics
from python_checks.api.http import Light, Reply
from python_checks.api.http_errors import NoAnswerError, OddReplyError, SeveredError
from python_checks.api.openai import PATH, begun, choice, hello
from python_checks.canary.liveness import Chat, Look
from python_checks.core.result import CheckError, State
from python_checks.core.say import say

TOKENS = 16  # of a chat
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


def embed(base: str, model: str, timeout: float) -> Chat:
    """Ask for the embeddings of two texts, in place of a chat, which the model does not know.

    Raises:
        CheckError: it could not be sent.
    """
    return _converse(base + embeddings.PATH, embeddings.body(model), timeout, _embedded)


def converse(base: str, model: str, timeout: float) -> Chat:
    """Send one tiny chat, as the one that ends a start.

    Raises:
        CheckError: it could not be sent.
    """
    return _converse(base + PATH, hello(model, TOKENS), timeout, _chatted)


def _converse(
    url: str, body: dict[str, Any], timeout: float, judge: Callable[[Reply], tuple[str, str]]
) -> Chat:
    start = time.monotonic()
    try:
        reply = Light("POST", url, body, timeout).result()
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
        found, words = judge(reply)
    except CheckError as error:
        return Chat(kind(reply), error.fault.reason, seconds)
    return Chat(found, words or say("answered in {seconds:.2f} s", seconds=seconds), seconds)


def _chatted(reply: Reply) -> tuple[str, str]:
    """Return what kind of an answer a chat got, and what is wrong with it."""
    first = choice(reply)
    fault = begun(first, say("chat"))
    if not fault:
        return "answered", ""
    return ("failed" if first.get("finish_reason") in ("abort", "error") else "nonsense"), fault.reason


def _embedded(reply: Reply) -> tuple[str, str]:
    faults = embeddings.faults(embeddings.vectors(reply), len(embeddings.TEXTS))
    return ("nonsense", faults[0].reason) if faults else ("answered", "")


def full_step(base: str, model: str, tokens: int, embeds: bool = False) -> float:
    """Have the engines read as many tokens as fit into one step, and return how many seconds that took, STEP at most.

    It is 0 where the server refuses: it may serve no completions, or shorter ones.
    """
    # Others each time, or the cache would know them.
    prompt = [random.randrange(*ORDINARY) for _ in range(tokens)]
    path, body = "/v1/completions", {"model": model, "prompt": prompt, "temperature": 0, "max_tokens": 1}
    if embeds:
        path, body = embeddings.PATH, {"model": model, "input": prompt}
    start = time.monotonic()
    try:
        reply = Light("POST", base + path, body, STEP).result()
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
