"""Tell alive, busy and hung apart by one tiny chat; restart what hangs, a few times an hour, and never what was stopped."""

import argparse
import time
from dataclasses import replace
from pathlib import Path

from python_checks.canary import memory as strikes
from python_checks.canary.contact import converse, full_step, look
from python_checks.canary.liveness import Facts
from python_checks.canary.manager import Manager, Unit, chosen
from python_checks.canary.memory import Memory
from python_checks.canary.rules import Verdict, judge, patience
from python_checks.core import notify
from python_checks.core import options as opt
from python_checks.core.result import CheckError, Figure, Result, State
from python_checks.core.say import say
from python_checks.service import marks

NEEDS: tuple[str, ...] = ()

TIMEOUT = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    opt.add_url(parser)
    opt.add_model(parser)
    opt.add_timeout(parser, TIMEOUT)
    opt.add_remember(parser)
    opt.add_unused(parser, "--model-directory")
    parser.add_argument(
        "--step-tokens",
        type=int,
        default=2048,
        metavar="N",
        help="tokens of a full step (vLLM's --max-num-batched-tokens); one is measured after each start (%(default)s)",
    )
    parser.add_argument(
        "--manager", choices=("systemd", "supervisor"), default="systemd", help="of the service (%(default)s)"
    )
    parser.add_argument(
        "--unit", default="vllm", metavar="NAME", help="the service under its manager (%(default)s)"
    )
    parser.add_argument(
        "--supervisorctl",
        default="supervisorctl",
        metavar="PATH",
        help="program that asks supervisord (%(default)s)",
    )
    parser.add_argument(
        "--restarter",
        type=Path,
        metavar="SOCKET",
        help="who restarts a unit of systemd for a user who may not; without it we must be root",
    )
    parser.add_argument("--configuration", type=Path, metavar="FILE", help="of supervisord")
    for name, what in (
        ("--state", "where strikes and restarts are kept"),
        ("--maintenance", "while it exists nothing is judged and nothing restarted"),
        ("--lock", "the host's deploy lock; while its run lives nothing is judged either"),
    ):
        parser.add_argument(name, type=Path, required=True, metavar="FILE", help=what)
    parser.add_argument(
        "--start-seconds",
        type=opt.seconds,
        default=900.0,
        metavar="SECONDS",
        help="a start under supervisord may take so long until the first answer (%(default)g s)",
    )


def run(options: argparse.Namespace) -> Result:
    """Look, judge, keep the outcome, and only then restart what hangs."""
    manager = chosen(
        options.manager, options.unit, options.supervisorctl, options.configuration, options.restarter
    )
    with strikes.held(options.state):
        memory = strikes.load(options.state)
        facts = observe(options, manager, memory)
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        verdict = judge(facts, memory, now, options.start_seconds)
        strikes.save(options.state, verdict.memory)
        if verdict.heal:
            verdict = heal(verdict, manager, facts.unit, options.state)
    notify.status(verdict.reason)
    return report(verdict, facts)


def observe(options: argparse.Namespace, manager: Manager, memory: Memory) -> Facts:
    """Return what can be seen; nothing is sent to a server that is not to be judged."""
    facts = Facts(maintenance=marks.maintenance(options.maintenance))
    if facts.maintenance:
        return facts
    unproven = marks.unproven(options.releases) if options.releases else {}
    facts = facts._replace(traces=marks.Traces(marks.deploy(options.lock), unproven))
    if facts.traces.deployed:
        return facts
    facts = facts._replace(unit=manager.ask())
    if facts.unit.state != "running":
        return facts
    before = look(options.url)
    facts = facts._replace(before=before, chat=converse(options.url, options.model, options.timeout))
    if facts.chat.kind == "answered" and not (
        memory.measured and memory.process == (facts.unit.pid, facts.unit.started)
    ):
        return facts._replace(step=full_step(options.url, options.model, options.step_tokens))
    settled = facts.chat.kind in ("answered", "refused", "nonsense")
    return facts if settled else facts._replace(after=look(options.url))


def heal(verdict: Verdict, manager: Manager, judged: Unit, path: Path) -> Verdict:
    """Restart the very process that was judged; where it is another by now do nothing, and take the heal off the record."""
    unit = manager.ask()
    if (unit.state, unit.pid, unit.started) != ("running", judged.pid, judged.started):
        memory = replace(verdict.memory, heals=verdict.memory.heals[:-1])
        strikes.save(path, memory)
        reason = say(
            "{reason}: not restarted, for by now it is {words} (process {pid})",
            reason=verdict.reason,
            words=unit.words,
            pid=unit.pid,
        )
        return verdict._replace(state=State.WARNING, reason=reason, memory=memory)
    try:
        manager.restart(judged)
    except CheckError as error:
        reason = say("{reason}: not restarted: {why}", reason=verdict.reason, why=error.fault.reason)
        return verdict._replace(reason=reason, remedy=error.fault.remedy)
    return verdict._replace(reason=say("{reason}: {heal}", reason=verdict.reason, heal=verdict.heal))


def report(verdict: Verdict, facts: Facts) -> Result:
    """Return the result."""
    memory = verdict.memory
    figures = [
        Figure("strikes", memory.strikes),
        Figure("heals", len(memory.heals)),
        Figure("gave_up", int(memory.gave_up)),
        Figure("patience", patience(memory), "s"),
    ]
    if facts.chat.kind != "none":
        figures.append(Figure("chat", facts.chat.seconds, "s"))
    counters = {"before": facts.before.counters, "after": facts.after.counters}
    evidence = {
        "condition": verdict.condition,
        "pid": facts.unit.pid,
        "queue": facts.queue and str(facts.queue),
        "counters": {when: seen and vars(seen) for when, seen in counters.items()},
    }
    return Result(
        "canary",
        verdict.state,
        verdict.reason,
        verdict.remedy,
        evidence=evidence,
        figures=tuple(figures),
        repeated=verdict.repeated,
    )
