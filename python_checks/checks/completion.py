"""One chat completion without tools: the whole way through renderer, engine and parser answers in words."""

import argparse

from python_checks.api.openai import answer_faults, ask, choice, end_of
from python_checks.core import options as opt
from python_checks.core.result import Result, conclude, shorten
from python_checks.core.say import say

NEEDS: tuple[str, ...] = ("requests",)

TIMEOUT = 120.0  # the first chat on a CPU takes 16 s of compilation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    opt.add_url(parser)
    opt.add_model(parser)
    opt.add_timeout(parser, TIMEOUT)


def request(model: str) -> dict[str, object]:
    """Return the request; temperature 0 as a probe must not depend on chance."""
    message = {"role": "user", "content": "Hello"}
    return {"model": model, "messages": [message], "temperature": 0, "max_tokens": 512}


def run(options: argparse.Namespace) -> Result:
    """Ask once."""
    return judge(choice(ask(options.url, request(options.model), options.timeout)))


def judge(first: dict[str, object]) -> Result:
    """Accept words that ended by themselves or by the limit of tokens."""
    faults = answer_faults(first, "chat")
    message = first["message"]
    content = str(message.get("content")) if isinstance(message, dict) else ""
    evidence = {"finish_reason": end_of(first), "content": shorten(content)}
    return conclude("completion", faults, say("answered {content!r}", content=shorten(content, 40)), evidence)
