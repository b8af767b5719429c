"""What is wrong, and what to do: every check that can be run, also when nothing runs; worst first."""

import argparse
import shutil
import time
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from types import ModuleType

from python_checks.checks import all as all_checks
from python_checks.checks import gpu, port, status
from python_checks.core.finding import Finding
from python_checks.core.options import ServiceParser
from python_checks.core.result import SEVERITY, Line, Result, State, worst
from python_checks.core.timed import timed
from python_checks.doctor import diagnosis, firewall, language, look, places, stuck
from python_checks.doctor.signs import Signs
from python_checks.service import engine_facts
from python_checks.service.facts import Service
from python_checks.service.last_words import LastWords

NEEDS: tuple[str, ...] = all_checks.NEEDS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check: those of `status` and of `all`, and the language."""
    status.add_arguments(parser)
    all_checks.add_arguments(parser)
    language.add_language(parser)


def run(options: argparse.Namespace) -> Result:
    """Look at everything, then judge."""
    seen = status.gather(options)
    known, vllm = seen.services, seen.services.get("vllm", Service("vllm"))
    held, over = stuck.all_of(known), seen.logs.get("vllm", LastWords())
    hangs = {name: "it hangs" for name, found in held.items() if any(each.state != "D" for each in found)}
    signs = Signs(
        services=known,
        refused=seen.refused,
        logs=seen.logs,
        disks=seen.disks,
        results=run_all(options, known, {**seen.refused, **hangs}),
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
        watch=seen.watch,
        traces=seen.traces,
        now=time.time(),
    )
    return judge(signs, options.title, options.language)


def ask(name: str, module: ModuleType, *arguments: str) -> Result:
    """Run one check with options as on the command line."""

    def check(_: argparse.Namespace) -> Result:
        parser = ServiceParser(prog=name)
        module.add_arguments(parser)
        result: Result = module.run(parser.parse_args(arguments))
        return result

    return timed(name, check, argparse.Namespace())


def run_all(
    options: argparse.Namespace, services: Mapping[str, Service], refused: Mapping[str, str]
) -> list[Result]:
    """Run what can be run: what needs a server is left out where that does not answer."""
    own = copy(options)
    vllm, backend = services.get("vllm"), services.get("backend")
    if vllm and refused["vllm"]:
        own.url = own.backend_url = None
    if backend and refused["backend"]:
        own.backend_url = None
    own.directory = own.directory or (Path(vllm.model) if vllm and vllm.model else None)
    results = all_checks.run(own, timed) if own.url or own.backend_url or own.directory else []
    for name, service in services.items():
        if service.command:
            pid = ("--pid", str(service.pid)) if service.pid else ()
            place = ("--host", service.host, "--port", str(service.port), *pid)
            results.append(ask(f"port of {name}", port, *place))
    if vllm and wants_gpu(vllm) and "gpu" not in [result.check for result in results]:
        results.append(ask("gpu", gpu, *engine_facts.gpu_arguments(vllm)))
    return results


def wants_gpu(vllm: Service) -> bool:
    """Tell whether a GPU is expected: there is a driver, or the environment is the one for GPUs."""
    return bool(shutil.which("nvidia-smi")) or "vllm-cuda" in "".join(vllm.command[:1])


def judge(signs: Signs, title: str, spoken: str = language.ENGLISH) -> Result:
    """Make one screen of the findings, worst first, then what is well; reason and remedy are English."""
    findings = sorted(diagnosis.findings(signs), key=lambda each: -SEVERITY.index(each.state))
    state = worst([finding.state for finding in findings]) if findings else State.OK
    well = ", ".join(diagnosis.well(signs))
    counts = [
        (sum(each.state is kind for each in findings), kind.name.lower()) for kind in reversed(SEVERITY)
    ]
    words = ", ".join(f"{number} {kind}" for number, kind in counts if number) or "nothing is wrong"
    lines = [Line(title, words, state)]
    for finding in findings:
        lines += [Line("", ""), *screen(finding)]
    lines += [Line("", ""), Line("well", well or "nothing")]
    shown = {"screen": language.translate(lines, spoken)}
    if not findings:
        return Result("doctor", State.OK, words, evidence=shown)
    first = findings[0]
    reason = f"{words}: {first.symptom}" + (f"; {first.cause}" if first.cause else "")
    return Result("doctor", state, reason, first.remedy, evidence=shown)


def screen(finding: Finding) -> list[Line]:
    """Return the lines of one finding; what is not known is left out."""
    parts = (
        Line("symptom", finding.symptom, finding.state),
        Line("evidence", finding.evidence),
        Line("cause", finding.cause),
        Line("remedy", finding.remedy),
    )
    return [part for part in parts if part.words]
