"""GET /health: the API server runs and its engine is alive. A hung engine still answers 200."""

import argparse

from python_checks.api.http import Reply, fetch, refusal
from python_checks.core import options as opt
from python_checks.core.result import Fault, Result, conclude
from python_checks.core.say import say

NEEDS: tuple[str, ...] = ("requests",)

TIMEOUT = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    opt.add_service(parser)
    opt.add_url(parser)
    opt.add_timeout(parser, TIMEOUT)


def run(options: argparse.Namespace) -> Result:
    """Ask for /health; never longer than this check's own deadline, also as a part of `all`."""
    return judge(fetch("GET", f"{options.url}/health", min(options.timeout, TIMEOUT)))


def judge(reply: Reply) -> Result:
    """Accept 200 only; vLLM answers 503 between the death of its engine and its own end."""
    faults = []
    if reply.status == 503:
        faults.append(
            Fault(
                say("/health says 503: the engine is dead ({refusal})", refusal=refusal(reply)),
                say(
                    "vLLM ends by itself within seconds and is restarted; the cause is the last ERROR in its log"
                ),
            )
        )
    elif reply.status != 200:
        faults.append(
            Fault(
                say("/health says {status}: {refusal}", status=reply.status, refusal=refusal(reply)),
                say(
                    "something else than vLLM seems to listen there: ss -ltnp; check the host and port of --url"
                ),
            )
        )
    return conclude("health", faults, say("/health says 200"), {"status": reply.status})
