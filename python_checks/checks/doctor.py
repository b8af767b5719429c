"""What is wrong, and what to do: every check that can be run, also when nothing runs; worst first."""

import argparse
import time

from python_checks.checks import all as all_checks
from python_checks.checks import status
from python_checks.core.finding import Finding
from python_checks.core.result import SEVERITY, Line, Result, State, worst
from python_checks.core.say import joined, msg, say
from python_checks.doctor import clock, diagnosis, firewall, look, places, stuck
from python_checks.doctor.signs import Signs
from python_checks.service import engine_facts
from python_checks.service.facts import Service
from python_checks.service.last_words import LastWords

NEEDS: tuple[str, ...] = all_checks.NEEDS

COUNTED = {
    State.CRITICAL: msg("{number} critical"),
    State.UNKNOWN: msg("{number} unknown"),
    State.WARNING: msg("{number} warning"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check: those of `status` and of `all`."""
    status.add_arguments(parser)
    all_checks.add_arguments(parser)


def run(options: argparse.Namespace) -> Result:
    """Look at everything, then judge."""
    seen = status.gather(options)
    known, vllm = seen.services, seen.services.get("vllm", Service("vllm"))
    held, over = stuck.all_of(known), seen.logs.get("vllm", LastWords())
    hangs = {
        name: say("it hangs") for name, found in held.items() if any(each.state != "D" for each in found)
    }
    signs = Signs(
        services=known,
        refused=seen.refused,
        logs=seen.logs,
        disks=seen.disks,
        results=look.checks(options, known, {**seen.refused, **hangs}),
        lacks=look.missing_compiler(vllm) if vllm.command else [],
        strangers=look.strangers(known) if "vllm" in known else [],
        bound={name: look.bound(service) for name, service in known.items() if service.pid},
        walls=firewall.walls(known),
        places={name: places.places(service, options.home) for name, service in known.items()},
        programs={name: look.program(service) for name, service in known.items() if not service.pid},
        stuck=held,
        command=engine_facts.command(vllm),
        version=engine_facts.version(vllm, seen.refused.get("vllm", "")),
        environment=places.environment(vllm.pid) if vllm.pid else {},
        model_type=engine_facts.model_type(vllm),
        budget=engine_facts.budget(vllm, over.cause, over.before),
        clock=clock.read(),
        watch=seen.watch,
        traces=seen.traces,
        now=time.time(),
    )
    return judge(signs, options.title)


def judge(signs: Signs, title: str) -> Result:
    """Make one screen of the findings, worst first, then what is well."""
    findings = sorted(diagnosis.findings(signs), key=lambda each: -SEVERITY.index(each.state))
    state = worst([finding.state for finding in findings]) if findings else State.OK
    well = joined(", ", diagnosis.well(signs))
    counts = [(sum(each.state is kind for each in findings), words) for kind, words in COUNTED.items()]
    words = joined(", ", (say(found, number=number) for number, found in counts if number)) or say(
        "nothing is wrong"
    )
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


def screen(finding: Finding) -> list[Line]:
    """Return the lines of one finding; what is not known is left out."""
    parts = (
        Line(say("symptom"), finding.symptom, finding.state),
        Line(say("evidence"), finding.evidence),
        Line(say("cause"), finding.cause),
        Line(say("remedy"), finding.remedy),
    )
    return [part for part in parts if part.words]
