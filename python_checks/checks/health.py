"""GET /health, or the path that a server has for it: vLLM's API server runs and its engine is alive. A hung engine still answers 200."""

import argparse

from python_checks.api.http import Reply, fetch, refusal
from python_checks.core import options as opt
from python_checks.core.result import Fault, Result, conclude
from python_checks.core.say import say

NEEDS: tuple[str, ...] = ("requests",)

TIMEOUT = 10.0
PATH = "/health"  # of vLLM


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    opt.add_service(parser)
    opt.add_url(parser)
    opt.add_timeout(parser, TIMEOUT)
    parser.add_argument(
        "--path", default=PATH, help="path that answers 200 when the server is well (%(default)s)"
    )


def run(options: argparse.Namespace) -> Result:
    """Ask for it; never longer than this check's own deadline, also as a part of `all`."""
    return judge(fetch("GET", options.url + options.path, min(options.timeout, TIMEOUT)), options.path)


def judge(reply: Reply, path: str = PATH) -> Result:
    """Accept 200 only; vLLM answers 503 between the death of its engine and its own end."""
    faults = []
    if reply.status == 503 and path == PATH:
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
                say(
                    "{path} says {status}: {refusal}", path=path, status=reply.status, refusal=refusal(reply)
                ),
                say("something else seems to listen there: ss -ltnp; check the host and port of --url"),
            )
        )
    return conclude("health", faults, say("{path} says 200", path=path), {"status": reply.status})
