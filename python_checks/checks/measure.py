"""What an upgrade is judged by: the conformance matrix, speed, memory and start time of the release that runs, in one document."""

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace

from python_checks.api import metrics
from python_checks.api.http import fetch
from python_checks.checks import conformance, latency
from python_checks.core import options as opt
from python_checks.core.result import CheckError, Fault, Figure, Result, State, conclude, worst
from python_checks.core.say import count, say
from python_checks.core.words import GIB, MIB
from python_checks.gpu import inventory
from python_checks.host import processes
from python_checks.service import managers, targets
from python_checks.service.facts import Service
from python_checks.service.registry import Row

NEEDS: tuple[str, ...] = ("requests", "jsonschema")
FORMAT = "json"

RUNS = 5  # of the latency probe: the median of them is told
TIMEOUT = 30.0  # seconds for nvidia-smi and for /metrics
Timed = Callable[[str, Callable[[argparse.Namespace], Result], argparse.Namespace], Result]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    opt.add_service(parser, "of this host; without it the one that serves chats")


def run(options: argparse.Namespace, timed: Timed) -> list[Result]:
    """Run the matrix, then measure.

    Raises:
        CheckError: no service fits, or several do and none is named.
    """
    rows = targets.rows("conformance", options.service)
    if len(rows) > 1:
        names = ", ".join(row.name for row in rows)
        words = say("several services fit: {names}", names=names)
        raise CheckError(Fault(words, say("name one: --service NAME"), State.UNKNOWN))
    (row,) = rows
    own = targets.options(row, conformance, {})
    results = conformance.run(own, timed)
    parts: dict[str, Callable[[argparse.Namespace], Result]] = {
        "speed": lambda each: speed([timed("latency", latency.run, each) for _ in range(RUNS)]),
        "memory": lambda each: memory(of(row), each.url),
        "start": lambda _: start(of(row)),
        "release": lambda _: release(of(row)),
    }
    return results + [timed(name, part, own) for name, part in parts.items()]


def of(row: Row) -> Service:
    """Return what the manager knows of a service."""
    return managers.services([row])[row.name]


def speed(runs: Sequence[Result]) -> Result:
    """Return the median of each figure that several runs of the latency probe measured."""
    by_name: dict[str, list[Figure]] = {}
    for figure in (figure for run in runs for figure in run.figures):
        by_name.setdefault(figure.name, []).append(figure)
    figures = tuple(
        Figure(name, statistics.median(each.value for each in several), several[0].unit)
        for name, several in by_name.items()
    )
    if not figures:
        return replace(runs[0], check="speed")
    state = worst([run.state for run in runs if run.figures])
    words = count(
        sum(bool(run.figures) for run in runs), "median of {number} answer", "median of {number} answers"
    )
    return Result("speed", min(state, State.WARNING), words, figures=figures)


def memory(service: Service, url: str) -> Result:
    """Return the memory that the processes of a service hold, on the host and on GPUs, and the tokens of its KV cache."""
    pids = [pid for pid in processes.pids() if service.pid and processes.belongs(pid, service.pid)]
    figures = [Figure("memory", sum(map(processes.resident, pids)) / GIB, "GiB")] if pids else []
    try:
        gpus, _ = inventory.look(TIMEOUT)
        held = [each.mib or 0 for gpu in gpus.gpus for each in gpu.holders if each.pid in pids]
        figures += [Figure("gpu_memory", sum(held) * MIB / GIB, "GiB")] if held else []
    except CheckError:
        pass  # no GPU, or the gpu check says what is wrong with it
    tokens = metrics.cache_tokens(fetch("GET", url + metrics.PATH, TIMEOUT))
    figures += [Figure("cache", tokens)] if tokens else []
    if not figures:
        return Result("memory", State.UNKNOWN, say("it does not run"))
    words = count(len(pids), "of its {number} process", "of its {number} processes")
    return replace(conclude("memory", [], words), figures=tuple(figures))


def start(service: Service) -> Result:
    """Return the seconds from the start of a service to its first answer, where its manager tells."""
    began = processes.started_at(service.pid) if service.pid else None
    if began is None or not service.ready:
        return Result("start", State.OK, say("its manager does not tell when it was ready"))
    figure = Figure("start", max(0.0, service.ready - began), "s")
    return Result("start", State.OK, say("until the first answer"), figures=(figure,))


def release(service: Service) -> Result:
    """Return the release that runs."""
    name = service.running or service.current
    return Result("release", State.OK if name else State.UNKNOWN, name or say("it does not run"))
