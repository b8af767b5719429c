"""One screen of what runs: services, releases, queue, GPUs, the last verdict of the probes, disk. Asks, and changes nothing."""

import argparse
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from python_checks import __version__
from python_checks.api import metrics
from python_checks.api.http import fetch
from python_checks.api.metrics import Queue
from python_checks.canary import screen
from python_checks.core.result import CheckError, Line, Result, State, worst
from python_checks.core.words import ago, count
from python_checks.gpu import status_lines
from python_checks.host import disks
from python_checks.host.disks import Disk
from python_checks.report import verdict
from python_checks.report.verdict import Verdict
from python_checks.service import last_words, managers, marks, registry, targets
from python_checks.service.condition import condition
from python_checks.service.facts import Service
from python_checks.service.last_words import LastWords

NEEDS: tuple[str, ...] = ("requests",)
FORMAT = "screen"

NONE = marks.Traces()
TIMEOUT = 5.0  # seconds for each question
VERDICT = "checks/verdict.json"  # below host_directory: what the check all remembered there


@dataclass(frozen=True)
class Seen:
    """What was found, by service where it is about one. `refused` says why one did not answer, `logs` what its log ends with."""

    services: dict[str, Service]
    refused: dict[str, str]
    logs: dict[str, LastWords]
    queues: Mapping[str, Queue]
    gpus: list[Line]
    verdict: Verdict | None
    watch: list[Line]
    disks: list[Disk]
    now: float
    traces: marks.Traces = NONE
    rows: Sequence[registry.Row] = field(default_factory=tuple)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    parser.add_argument(
        "--title",
        default=platform.node(),
        help="opens the screen, e.g. the host's name in an inventory (%(default)s)",
    )


def run(options: argparse.Namespace) -> Result:
    """Ask everybody, then judge."""
    return judge(gather(), options.title)


def gather() -> Seen:
    """Ask the services of this host, their logs, nvidia-smi and the disks.

    Raises:
        CheckError: no service is deployed here, or a manager cannot be asked.
    """
    rows, home = targets.deployed()
    known = managers.services(rows)
    refused: dict[str, str] = {}
    queues: dict[str, Queue] = {}
    for name, service in known.items():
        refused[name] = "" if service.pid else "it does not run"
        if service.pid and service.asked:
            refused[name] = "it was not asked"
            try:
                reply = fetch(
                    "GET", service.url + (metrics.PATH if service.engine else service.health_path), TIMEOUT
                )
                refused[name] = ""
                queues |= {name: metrics.queue(reply)} if service.engine else {}
            except CheckError as error:
                refused[name] = refused[name] and error.fault.reason
    paths = [
        home,
        *(Path(path) for service in known.values() for path in (service.model, service.log) if path),
    ]
    engines = any(service.engine for service in known.values())
    now = time.time()
    return Seen(
        known,
        refused,
        {name: last_words.read(service) for name, service in known.items()},
        queues,
        status_lines.gpus() if engines else [],
        verdict.recall(home / VERDICT),
        screen.of_rows(rows, now),
        disks.disks(paths),
        now,
        marks.traces(home),
        rows,
    )


def judge(seen: Seen, title: str) -> Result:
    """Make the screen; the first line says the worst."""
    lines = [line for name in seen.services for line in service_lines(name, seen)]
    lines += [
        *deploys(seen.traces),
        *seen.gpus,
        probes(seen),
        *seen.watch,
        *(Line("disk", str(disk), disk.state) for disk in seen.disks),
    ]
    bad = [line for line in lines if line.state is not State.OK]
    state = worst([line.state for line in lines])
    first = [line for line in bad if line.state is state]
    reason = f"{first[0].label.strip()} {first[0].words}" if first else "all is well"
    words = f"{len(bad)} of {len(lines)} lines need a look" if bad else reason
    head = Line(title, f"{words} (vllm-deploy {__version__})", state)
    remedy = "ask the doctor: ansible/doctor.yml" if bad else ""
    facts = {name: service.as_dict() for name, service in seen.services.items()}
    return Result("status", state, reason, remedy, evidence={"screen": [head, *lines], "services": facts})


def service_lines(name: str, seen: Seen) -> list[Line]:
    """Return what there is to say about one service."""
    service, log = seen.services[name], seen.logs[name]
    how = condition(service, seen.refused[name], log, seen.now)
    lines = [Line(name, how.words, how.state)]
    if service.stale:
        other = f"{service.running or 'another release'} runs, {service.current} is the activated one: deploy again"
        lines.append(Line("  release", other, State.WARNING))
    else:
        lines.append(Line("  release", service.running or service.current or "none was activated"))
    if words := seen.traces.unproven.get(name):
        # While it is deployed it cannot be proven yet.
        unproven = State.OK if seen.traces.deployed else State.WARNING
        lines.append(Line("  proof", f"{words}: {marks.AGAIN}", unproven))
    if names := seen.traces.left.get(name):
        lines.append(Line("  left", f"{', '.join(names)}: only -e release=ID goes back there"))
    if service.engine and service.command:
        lines.append(Line("  model", f"{service.served_name} at {service.url} ({service.model})"))
    if name in seen.queues:
        lines.append(Line("  queue", str(seen.queues[name])))
    if how.state is not State.OK and log.last and not service.put_down:
        lines.append(Line("  log", log.last))
    return lines


def deploys(traces: marks.Traces) -> list[Line]:
    """Return a line for the deploy that works on the host, or that was cut off."""
    if not traces.deploy.who:
        return []
    if traces.deployed:
        return [Line("deploy", traces.deploy.who)]
    return [Line("deploy", f"cut off: {traces.deploy.who}; {marks.TAKE_OVER}", State.WARNING)]


def probes(seen: Seen) -> Line:
    """Return the last verdict, its age, and whether it is still about what runs."""
    last = seen.verdict
    if last is None:
        return Line(
            "probes", "no verdict: they never ran, or were cut off; run ansible/probe.yml", State.WARNING
        )
    words = f"{last.state.name.lower()} {ago(last.time, seen.now)}, {count(len(last.results), 'check')}"
    if last.state is not State.OK:
        words += f"; {last.worst.check}: {last.worst.reason}"
    for name, service in seen.services.items():
        if last.releases.get(name, service.current) != service.current:
            return Line(
                "probes", f"{words}; of another release of {name}", worst([last.state, State.WARNING])
            )
        if service.pid and service.since > last.time:
            return Line(
                "probes", f"{words}; {name} was started since then", worst([last.state, State.WARNING])
            )
    return Line("probes", words, last.state)
