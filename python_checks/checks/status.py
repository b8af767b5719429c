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
from python_checks.core.result import CheckError, Line, Result, State, one_line, worst
from python_checks.core.say import count, msg, say
from python_checks.core.words import ago
from python_checks.gateway import screen as gateway
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
    traces: marks.Traces = field(default_factory=marks.Traces)
    rows: Sequence[registry.Row] = field(default_factory=tuple)
    doors: Mapping[str, Sequence[Line]] = field(default_factory=dict)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    words = "opens the screen, e.g. the host's name in an inventory (%(default)s)"
    parser.add_argument("--title", default=platform.node(), help=words)


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
        refused[name] = "" if service.pid else say("it does not run")
        if service.pid and service.asked:
            refused[name] = say("it was not asked")
            try:
                path = metrics.PATH if service.engine else service.health_path
                reply = fetch("GET", service.url + path, TIMEOUT)
                refused[name] = ""
                queues |= {name: metrics.queue(reply)} if service.engine else {}
            except CheckError as error:
                refused[name] = refused[name] and error.fault.reason
    places = [place for service in known.values() for place in (service.model, service.log) if place]
    now = time.time()
    return Seen(
        known,
        refused,
        {name: last_words.read(service) for name, service in known.items()},
        queues,
        status_lines.gpus() if any(service.engine for service in known.values()) else [],
        verdict.recall(home / VERDICT),
        screen.of_rows(rows, now),
        disks.disks([home, *map(Path, places)]),
        now,
        marks.traces(home),
        rows,
        {row.name: gateway.lines(row.options, TIMEOUT) for row in rows if not refused[row.name]},
    )


def judge(seen: Seen, title: str) -> Result:
    """Make the screen; the first line says the worst."""
    lines = [line for name in seen.services for line in service_lines(name, seen)]
    lines += [
        *deploys(seen.traces),
        *seen.gpus,
        probes(seen),
        *seen.watch,
        *(Line(say("disk"), str(disk), disk.state) for disk in seen.disks),
    ]
    bad = [line for line in lines if line.state is not State.OK]
    state = worst([line.state for line in lines])
    first = [line for line in bad if line.state is state]
    reason = say("all is well")
    if first:
        reason = say("{label} {words}", label=one_line(first[0].label), words=first[0].words)
    words = count(
        len(bad),
        "{number} of {total} lines needs a look",
        "{number} of {total} lines need a look",
        total=len(lines),
    )
    head = Line(
        title,
        say("{words} (vllm-deploy {version})", words=words if bad else reason, version=__version__),
        state,
    )
    remedy = say("ask the doctor: ansible/doctor.yml") if bad else ""
    facts = {name: service.as_dict() for name, service in seen.services.items()}
    return Result("status", state, reason, remedy, evidence={"screen": [head, *lines], "services": facts})


def service_lines(name: str, seen: Seen) -> list[Line]:
    """Return what there is to say about one service."""
    service, log = seen.services[name], seen.logs[name]
    how = condition(service, seen.refused[name], log, seen.now)
    lines = [Line(name, how.words, how.state)]
    if service.stale:
        other = say(
            "{running} runs, {current} is the activated one: deploy again",
            running=service.running or say("another release"),
            current=service.current,
        )
        lines.append(Line(say("  release"), other, State.WARNING))
    else:
        lines.append(Line(say("  release"), service.running or service.current or say("none was activated")))
    if words := seen.traces.unproven.get(name):
        # While it is deployed it cannot be proven yet.
        unproven = State.OK if seen.traces.deployed else State.WARNING
        lines.append(Line(say("  proof"), say("{words}: {again}", words=words, again=marks.AGAIN), unproven))
    if names := seen.traces.left.get(name):
        left = say("{names}: only -e release=ID goes back there", names=", ".join(names))
        lines.append(Line(say("  left"), left))
    if service.engine and service.command:
        served, url = service.served_name, service.url
        words = say("{served_name} at {url} ({model})", served_name=served, url=url, model=service.model)
        lines.append(Line(say("  model"), words))
    if name in seen.queues:
        lines.append(Line(say("  queue"), str(seen.queues[name])))
    lines += seen.doors.get(name, ())
    if how.state is not State.OK and log.last and not service.put_down:
        lines.append(Line(say("  log"), log.last))
    return lines


def deploys(traces: marks.Traces) -> list[Line]:
    """Return a line for the deploy that works on the host, or that was cut off."""
    if not traces.deploy.who:
        return []
    if traces.deployed:
        return [Line(say("deploy"), traces.deploy.who)]
    words = say("cut off: {who}; {take_over}", who=traces.deploy.who, take_over=marks.TAKE_OVER)
    return [Line(say("deploy"), words, State.WARNING)]


def probes(seen: Seen) -> Line:
    """Return the last verdict, its age, and whether it is still about what runs."""
    last = seen.verdict
    if last is None:
        words = say("no verdict: they never ran, or were cut off; run ansible/probe.yml")
        return Line(say("probes"), words, State.WARNING)
    words = say(
        "{state} {when}, {checks}",
        state=last.state.word,
        when=ago(last.time, seen.now),
        checks=count(len(last.results), "{number} check", "{number} checks", none=msg("no check")),
    )
    if last.state is not State.OK:
        words += say("; {check}: {reason}", check=last.worst.check, reason=last.worst.reason)
    for name, service in seen.services.items():
        if last.releases.get(name, service.current) != service.current:
            words += say("; of another release of {name}", name=name)
        elif service.pid and service.since > last.time:
            words += say("; {name} was started since then", name=name)
        else:
            continue
        return Line(say("probes"), words, worst([last.state, State.WARNING]))
    return Line(say("probes"), words, last.state)
