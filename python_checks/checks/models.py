"""GET /v1/models: the served name is there."""

import argparse

from python_checks.api import keys
from python_checks.api.http import Reply, fetch, refusal
from python_checks.core import options as opt
from python_checks.core.result import Fault, Result, conclude, shorten
from python_checks.core.say import say

NEEDS: tuple[str, ...] = ("requests",)

TIMEOUT = 10.0
MOST = 100  # names that are looked at; adapters are models, too


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    opt.add_service(parser)
    opt.add_server(parser, TIMEOUT)


def run(options: argparse.Namespace) -> Result:
    """Ask for the list of models."""
    return judge(fetch("GET", f"{options.url}/v1/models", min(options.timeout, TIMEOUT)), options.model)


def judge(reply: Reply, model: str) -> Result:
    """Accept a list that holds `model`; the reason names what is there instead."""
    data = reply.data.get("data") if isinstance(reply.data, dict) else None
    if reply.status != 200 or not isinstance(data, list):
        remedy = say("check that vLLM's own API listens at --url: curl URL/version")
        remedy = keys.REMEDY if reply.status in keys.REFUSED else remedy
        fault = Fault(
            say("/v1/models says {status}: {refusal}", status=reply.status, refusal=refusal(reply)), remedy
        )
        return conclude("models", [fault], "", {"status": reply.status})
    names = [shorten(str(entry.get("id"))) for entry in data[:MOST] if isinstance(entry, dict)]
    faults = []
    if model not in names:
        faults.append(
            Fault(
                say(
                    "{model} is not served; served: {names}",
                    model=model,
                    names=", ".join(names) or say("nothing"),
                ),
                say(
                    "start vLLM with --served-model-name {model}, or give the served name as --model",
                    model=model,
                ),
            )
        )
    return conclude("models", faults, say("serves {names}", names=", ".join(names)), {"models": names})
