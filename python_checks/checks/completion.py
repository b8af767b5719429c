"""One chat completion without tools: the whole way through renderer, engine and parser answers in words."""

import argparse

from python_checks.api.openai import answer_faults, ask, choice, end_of, hello
from python_checks.core import options as opt
from python_checks.core.result import Result, conclude, shorten
from python_checks.core.say import say

NEEDS: tuple[str, ...] = ("requests",)

TOKENS = 512
TIMEOUT = 120.0  # the first chat on a CPU takes 16 s of compilation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    opt.add_service(parser)
    opt.add_server(parser, TIMEOUT)


def run(options: argparse.Namespace) -> Result:
    """Ask once."""
    return judge(choice(ask(options.url, hello(options.model, TOKENS), options.timeout)))


def judge(first: dict[str, object]) -> Result:
    """Accept words that ended by themselves or by the limit of tokens."""
    faults = answer_faults(first, "chat")
    message = first["message"]
    content = str(message.get("content")) if isinstance(message, dict) else ""
    evidence = {"finish_reason": end_of(first), "content": shorten(content)}
    return conclude("completion", faults, say("answered {content!r}", content=shorten(content, 40)), evidence)
