"""What is wrong, and what to do: every check that can be run, also when nothing runs; worst first."""

import argparse
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import ModuleType

from python_checks.checks import all as all_checks
from python_checks.checks import gpu, port, status
from python_checks.core.finding import Finding
from python_checks.core.result import SEVERITY, Line, Result, State, of, worst
from python_checks.core.say import Said, count, joined, say
from python_checks.core.timed import timed
from python_checks.doctor import diagnosis, firewall, look, places, stuck
from python_checks.doctor.signs import Engine, Signs
from python_checks.service import engine_facts, registry, targets
from python_checks.service.facts import Service
from python_checks.service.last_words import LastWords
from python_checks.service.registry import Row

NEEDS: tuple[str, ...] = all_checks.NEEDS
FORMAT = "screen"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check: that of `status`."""
    status.add_arguments(parser)


def run(options: argparse.Namespace) -> Result:
    """Look at everything, then judge."""
    seen = status.gather()
    known = seen.services
    held = stuck.all_of(known)
    hangs = {
        name: say("it hangs") for name, found in held.items() if any(each.state != "D" for each in found)
    }
    vllms = {name: service for name, service in known.items() if service.engine}
    home = registry.home()
    signs = Signs(
        services=known,
        refused=seen.refused,
        logs=seen.logs,
        disks=seen.disks,
        results=run_all(seen.rows, known, {**seen.refused, **hangs}),
        strangers=look.strangers(known) if vllms else [],
        bound={name: look.bound(service) for name, service in known.items() if service.pid},
        walls=firewall.walls(known),
        places={name: places.places(service, home) for name, service in known.items()},
        programs={name: look.program(service) for name, service in known.items() if not service.pid},
        stuck=held,
        engines={name: engine(service, seen) for name, service in vllms.items()},
        watch=seen.watch,
        traces=seen.traces,
        now=time.time(),
    )
    return judge(signs, options.title)


OFFLINE = ("model-files",)  # checks that need no server


def ask(name: str, module: ModuleType, *arguments: str) -> Result:
    """Run one check with options as on the command line."""

    def check(_: argparse.Namespace) -> Result:
        result: Result = module.run(targets.known(module).parse_args(arguments))
        return result

    return timed(name, check, argparse.Namespace())


def run_all(rows: Sequence[Row], services: Mapping[str, Service], refused: Mapping[str, str]) -> list[Result]:
    """Run what can be run: what needs a server is left out where that, or one that it asks, does not answer."""
    silent = {name for name, why in refused.items() if why}
    own = [
        replace(
            row, probes=[each for each in row.probes if each in OFFLINE or not silent & {row.name, *row.asks}]
        )
        for row in rows
        if row.manager
    ]
    plan = list(all_checks.of_rows(own))
    results = all_checks.carry_out(plan, timed) if plan else []
    for name, service in services.items():
        if service.command and service.asked:
            pid = ("--pid", str(service.pid)) if service.pid else ()
            place = ("--host", service.host, "--port", str(service.port), *pid)
            results.append(ask(say("port of {name}", name=name), port, *place))
    engines_here = [service for service in services.values() if service.engine and wants_gpu(service)]
    for service in engines_here:
        result = ask("gpu", gpu, *engine_facts.gpu_arguments(service))
        results.append(of(result, service.name, len(engines_here) > 1))
    return results


def wants_gpu(vllm: Service) -> bool:
    """Tell whether a GPU is expected: there is a driver, or the environment is the one for GPUs."""
    return bool(shutil.which("nvidia-smi")) or "vllm-cuda" in "".join(vllm.command[:1])


def engine(vllm: Service, seen: status.Seen) -> Engine:
    """Return what explains a vLLM."""
    over = seen.logs.get(vllm.name, LastWords())
    return Engine(
        command=engine_facts.command(vllm),
        version=engine_facts.version(vllm, seen.refused.get(vllm.name, "")),
        environment=places.environment(vllm.pid) if vllm.pid else {},
        model_type=engine_facts.model_type(vllm),
        lacks=look.missing_compiler(vllm) if vllm.command else [],
        budget=engine_facts.budget(vllm, over.cause, over.before),
    )


def judge(signs: Signs, title: str) -> Result:
    """Make one screen of the findings, worst first, then what is well."""
    findings = sorted(diagnosis.findings(signs), key=lambda each: -SEVERITY.index(each.state))
    state = worst([finding.state for finding in findings]) if findings else State.OK
    well = joined(", ", diagnosis.well(signs))
    words = counted(Counter(finding.state for finding in findings))
    lines = [Line(title, words, state)]
    for finding in findings:
        lines += [Line("", ""), *screen(finding)]
    lines += [Line("", ""), Line(say("well"), well or say("nothing"))]
    shown = {"screen": lines}
    if not findings:
        return Result("doctor", State.OK, words, evidence=shown)
    first = findings[0]
    reason = say("{words}: {symptom}", words=words, symptom=first.symptom) + (
        say("; {cause}", cause=first.cause) if first.cause else ""
    )
    return Result("doctor", state, reason, first.remedy, evidence=shown)


def counted(found: Mapping[State, int]) -> Said:
    """Return how many findings there are of each state, the worst first."""
    parts = (
        count(found[State.CRITICAL], "{number} critical", "{number} critical"),
        count(found[State.UNKNOWN], "{number} unknown", "{number} unknown"),
        count(found[State.WARNING], "{number} warning", "{number} warnings"),
    )
    return joined(", ", [part for part in parts if part.values["number"]]) or say("nothing is wrong")


def screen(finding: Finding) -> list[Line]:
    """Return the lines of one finding; what is not known is left out."""
    parts = (
        Line(say("symptom"), finding.symptom, finding.state),
        Line(say("evidence"), finding.evidence),
        Line(say("cause"), finding.cause),
        Line(say("remedy"), finding.remedy),
    )
    return [part for part in parts if part.words]
