"""Tool calls in every way that a client may ask for one: choices, streams, both APIs, limits, refusals, langchain, the backend."""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from python_checks.api import keys
from python_checks.api.http import fetch
from python_checks.api.openai import refuse
from python_checks.checks import chat, latency
from python_checks.conformance import limits, through
from python_checks.conformance.cases import Cases, Outcome
from python_checks.core import options as opt
from python_checks.core.result import Fault, Result, State, conclude
from python_checks.core.say import say
from python_checks.report import verdict

NEEDS: tuple[str, ...] = ("requests", "jsonschema")

TIMEOUT = 120.0
DEADLINE = 900.0  # of all cases; a large model reasons some seconds in each
TRIES = 3  # a busy vLLM itself puts two tokens into one event now and then
Timed = Callable[[str, Callable[[argparse.Namespace], Result], argparse.Namespace], Result]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    opt.add_service(parser)
    opt.add_url(parser)
    opt.add_model(parser)
    opt.add_backend_url(parser, default=None)
    opt.add_langchain(parser)
    parser.add_argument(
        "--through",
        type=opt.url,
        metavar="URL",
        help="base URL of a gateway before vLLM: instead, ask both and compare the replies field by field",
    )
    parser.add_argument(
        "--through-key-file", type=Path, metavar="FILE", help="holds the key that the gateway asks for"
    )
    opt.add_remember(parser)
    opt.add_timeout(parser, TIMEOUT)
    opt.add_deadline(parser, DEADLINE, "matrix")
    latency.add_limits(parser)


def run(options: argparse.Namespace, timed: Timed) -> list[Result]:
    """Run every case, with progress on standard error; none when the server does not even tell its version."""
    if options.remember:
        verdict.forget(options.remember)
    start = time.monotonic()
    results = [timed("server", server, options)]
    if options.through:
        return results + compare(options, timed)
    served = limits.version(results[0].evidence.get("version"))
    cases = Cases(options.url, options.model, options.timeout, options.langchain_python)
    plan: dict[str, Callable[[argparse.Namespace], Result]] = {
        name: partial(attempt, name, case, served) for name, case in cases.plan().items()
    }
    plan["latency"] = latency.run
    if options.backend_url:
        plan["backend"] = chat.run
    for number, (name, case) in enumerate(plan.items(), 1):
        left = start + options.deadline - time.monotonic()
        if results[0].state is not State.OK or left <= 0:
            why = (
                say("server failed")
                if left > 0
                else say("the deadline of {deadline:g} s has passed", deadline=options.deadline)
            )
            results.append(Result(name, State.UNKNOWN, say("not run, {why}", why=why)))
            continue
        print(f"{name} ({number} of {len(plan)})", file=sys.stderr, flush=True)
        cases.timeout = min(options.timeout, left)
        results.append(timed(name, case, options))
    return results


def compare(options: argparse.Namespace, timed: Timed) -> list[Result]:
    """Ask vLLM itself, and through the gateway."""
    keys.use(options.through, options.through_key_file)

    def both(name: str, ask: Callable[[str, float], through.Seen], _: argparse.Namespace) -> Result:
        faults = list[Fault]()
        for _attempt in range(TRIES):
            faults = through.judge(ask(options.url, options.timeout), ask(options.through, options.timeout))
            if not faults:
                break
        return conclude(name, faults, say("the same reply"))

    plan = through.cases(options.model)
    return [timed(f"through-{name}", partial(both, name, ask), options) for name, ask in plan.items()]


def server(options: argparse.Namespace) -> Result:
    """Ask for the version, by which known limits are told."""
    reply = fetch("GET", f"{options.url}/version", options.timeout)
    refuse(reply)
    version = reply.data.get("version") if isinstance(reply.data, dict) else None
    return conclude("server", [], say("vLLM {version}", version=version), {"version": version})


def attempt(name: str, case: Callable[[], Outcome], served: tuple[int, ...], _: argparse.Namespace) -> Result:
    """Run a case and judge it."""
    return judge(name, case(), served)


def judge(name: str, outcome: Outcome, served: tuple[int, ...]) -> Result:
    """Make a result of what a case found; known limits of the version `served` are warnings."""
    faults, words = outcome
    return conclude(name, limits.soften(name, faults, served), words)
