"""Every check whose options are given, one after the other so that none disturbs another's time."""

import argparse
from collections.abc import Callable

from python_checks.checks import chat, completion, gateway, health, model_files, models, tool_call
from python_checks.core import options as opt
from python_checks.core.result import Result, State
from python_checks.gateway import options as own
from python_checks.report import verdict

NEEDS: tuple[str, ...] = ("requests", "jsonschema")

TIMEOUT = 120.0

Timed = Callable[[str, Callable[[argparse.Namespace], Result], argparse.Namespace], Result]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the checks that run; each brings its checks in."""
    opt.add_url(parser, default=None)
    opt.add_model(parser, default=None)
    opt.add_backend_url(parser, default=None)
    model_files.add_arguments(parser, required=False)
    own.add_gateway(parser)
    opt.add_timeout(parser, TIMEOUT)
    opt.add_remember(parser)
    opt.add_unused(parser, "--langchain-python", "--step-tokens")


def plan(options: argparse.Namespace) -> list[tuple[str, Callable[[argparse.Namespace], Result], bool]]:
    """Return name, function and "needs a healthy server" of the checks whose options are given."""
    with_model = bool(options.url and options.model)
    wanted = (
        (options.directory, "model-files", model_files.run, False),
        (options.url, "health", health.run, False),
        (with_model, "models", models.run, True),
        (with_model, "completion", completion.run, True),
        (with_model, "tool-call", tool_call.run, True),
        (options.gateway_url, "gateway", gateway.run, True),
        (options.backend_url, "chat", chat.run, True),
    )
    return [(name, check, needs) for given, name, check, needs in wanted if given]


def run(options: argparse.Namespace, timed: Timed) -> list[Result]:
    """Run the plan; once health has failed, what needs the server is not run, and says so."""
    if options.remember:
        verdict.forget(options.remember)
    results: list[Result] = []
    healthy = True
    for name, check, needs in plan(options):
        if needs and not healthy:
            results.append(Result(name, State.UNKNOWN, "not run, health failed"))
            continue
        results.append(timed(name, check, options))
        if name == "health":
            healthy = results[-1].state is State.OK
    if not results:
        words = "nothing to check: give --url with --model, --backend-url or --model-directory"
        results.append(Result("all", State.UNKNOWN, words))
    return results
