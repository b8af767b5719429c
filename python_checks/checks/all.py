"""Every check that judges a service of this host, or whose options are given; one after the other so that none disturbs another's time."""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

from python_checks.checks import chat, completion, embedding, gateway, health, model_files, models, tool_call
from python_checks.core import options as opt
from python_checks.core.result import Result, State, of
from python_checks.core.say import say
from python_checks.report import verdict
from python_checks.service import targets
from python_checks.service.registry import Row

NEEDS: tuple[str, ...] = ("requests", "jsonschema")

TIMEOUT = 120.0
CHECKS: dict[str, ModuleType] = {
    "model-files": model_files,
    "health": health,
    "models": models,
    "completion": completion,
    "embedding": embedding,
    "tool-call": tool_call,
    "gateway": gateway,
    "chat": chat,
}
ALWAYS = ("model-files", "health")  # the others need servers that are well

Timed = Callable[[str, Callable[[argparse.Namespace], Result], argparse.Namespace], Result]


class Step(NamedTuple):
    """One check of a plan; `needs`: the services that must be well for it, its own first."""

    name: str
    options: argparse.Namespace
    needs: Sequence[str] = ("",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the checks that run; each brings its checks in."""
    opt.add_service(parser)
    opt.add_url(parser, default=None)
    opt.add_model(parser, default=None)
    opt.add_backend_url(parser, default=None)
    model_files.add_arguments(parser, alone=False)
    opt.add_timeout(parser, TIMEOUT)
    opt.add_remember(parser)


def run(options: argparse.Namespace, timed: Timed) -> list[Result]:
    """Run the checks of what was typed, or else those of the services of this host."""
    if options.remember:
        verdict.forget(options.remember)
    if options.url or options.backend_url or options.directory:
        return carry_out(list(by_hand(options)), timed)
    typed = {"model": options.model, "api_key_file": options.api_key_file, "timeout": options.timeout}
    return carry_out(list(of_rows(targets.rows("", options.service), typed)), timed)


def by_hand(options: argparse.Namespace) -> Iterator[Step]:
    """Yield the checks whose options were typed."""
    with_model = bool(options.url and options.model)
    wanted = {
        "model-files": options.directory,
        "health": options.url,
        **dict.fromkeys(("models", "completion", "tool-call"), with_model),
        "chat": options.backend_url,
    }
    yield from (Step(name, options) for name in CHECKS if wanted.get(name))


def of_rows(rows: Sequence[Row], typed: Mapping[str, Any] = MappingProxyType({})) -> Iterator[Step]:
    """Yield the checks of services; what is `typed` wins over what their rows tell.

    Raises:
        CheckError: a check refuses what the row of a service tells it.
    """
    for row in rows:
        for name in (name for name in CHECKS if name in row.probes):
            own = targets.options(row, CHECKS[name], typed)
            yield Step(name, own, (row.name, *row.asks))


def carry_out(plan: Sequence[Step], timed: Timed) -> list[Result]:
    """Run a plan; once the health of a server has failed, what needs that server is not run, and says so."""
    results: list[Result] = []
    several, broken = Counter(step.name for step in plan), set[str]()
    for name, options, needs in plan:
        if name not in ALWAYS and broken & set(needs):
            result = Result(name, State.UNKNOWN, say("not run, health failed"))
        else:
            result = timed(name, CHECKS[name].run, options)
        if name == "health" and result.state is not State.OK:
            broken.add(needs[0])
        results.append(of(result, needs[0], several[name] > 1))
    if not results:
        words = say("nothing to check: give --url with --model, --backend-url or --model-directory")
        results.append(Result("all", State.UNKNOWN, words))
    return results
