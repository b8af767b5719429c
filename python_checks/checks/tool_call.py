"""The guide's tool call (4.1), judged on its four points (4.3) and more, and the turn with the result."""

import argparse
from dataclasses import replace

from python_checks.api import weather
from python_checks.api.openai import answer_faults, ask, choice, end_of
from python_checks.api.tool_replies import judge_call
from python_checks.core import options as opt
from python_checks.core.result import CheckError, Result, bounded, conclude, shorten
from python_checks.core.say import say

NEEDS: tuple[str, ...] = ("requests", "jsonschema")

TIMEOUT = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    opt.add_service(parser)
    opt.add_server(parser, TIMEOUT)


def run(options: argparse.Namespace) -> Result:
    """Ask; if the call is sound, hand in the tool's result and judge the answer."""
    first = choice(ask(options.url, weather.request(options.model), options.timeout))
    faults = judge_call(first, [weather.TOOL])
    message = first["message"]
    evidence = {"finish_reason": end_of(first), "tool_calls": bounded(message.get("tool_calls"))}
    if faults:
        return conclude("tool-call", faults, "", evidence | {"content": bounded(message.get("content"))})
    calls = message["tool_calls"]
    body = weather.request(options.model, weather.second_turn(calls))
    try:
        second = choice(ask(options.url, body, options.timeout))
    except CheckError as error:
        reason = say("second turn: {reason}", reason=error.fault.reason)
        raise CheckError(replace(error.fault, reason=reason)) from error
    answer = shorten(str(second["message"].get("content")))
    function = calls[0]["function"]
    return conclude(
        "tool-call",
        answer_faults(second, say("second turn"), ("stop",)),
        say(
            "called {name}({arguments}), then answered {answer!r}",
            name=function["name"],
            arguments=function["arguments"],
            answer=shorten(answer, 40),
        ),
        evidence | {"answer": answer},
    )
