"""Tell alive, busy and hung apart by one tiny chat; restart what hangs, a few times an hour, and never what was stopped."""

import argparse
import time
from copy import copy
from dataclasses import replace
from pathlib import Path

from python_checks.canary import door, healing
from python_checks.canary import memory as strikes
from python_checks.canary.contact import converse, embed, full_step, look
from python_checks.canary.liveness import Facts
from python_checks.canary.memory import Memory
from python_checks.canary.rules import HANDS_OFF, Ruling, judge, patience
from python_checks.core import notify
from python_checks.core import options as opt
from python_checks.core.result import CheckError, Figure, Result, State
from python_checks.core.say import say
from python_checks.service import managers, marks, registry
from python_checks.service.facts import EMBED
from python_checks.service.registry import Row
from python_checks.service.unit import Unit

NEEDS: tuple[str, ...] = ()
OF_A_SERVICE = True  # it asks a manager, too: an address is not enough

TIMEOUT = 10.0
# In the directory of what watches a service, and in that of the deploy.
STATE = "canary.json"
MAINTENANCE, LOCK, RELEASES = "watch/maintenance.json", "deploy.lock", "releases"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    opt.add_service(parser)
    opt.add_server(parser, TIMEOUT)
    opt.add_remember(parser)
    parser.add_argument(
        "--step-tokens",
        type=int,
        default=2048,
        metavar="N",
        help="tokens of a full step (vLLM's --max-num-batched-tokens); one is measured after each start (%(default)s)",
    )
    parser.add_argument(
        "--restarter",
        type=Path,
        metavar="SOCKET",
        help="who restarts a unit of systemd for a user who may not; without it we must be root",
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="where strikes and restarts are kept; without it nothing is kept and nothing restarted",
    )
    for name, what in (
        ("--maintenance", "while it exists nothing is judged and nothing restarted (that of the host)"),
        ("--lock", "the deploy lock; while its run lives nothing is judged either (that of the host)"),
    ):
        parser.add_argument(name, type=Path, metavar="FILE", help=what)
    parser.add_argument(
        "--start-seconds",
        type=opt.seconds,
        default=900.0,
        metavar="SECONDS",
        help="a start under supervisord may take so long until the first answer (%(default)g s)",
    )


def run(options: argparse.Namespace) -> Result:
    """Look, judge, keep the outcome, and only then restart what hangs; a person's look keeps and restarts nothing."""
    row: Row = options.row
    given = placed(options, row)
    if given.state is None:
        last = Path(row.watch, STATE)
        verdict, facts = look_and_judge(given, row, strikes.load(last) if last.exists() else Memory())
        return report(verdict, facts, row)
    with strikes.held(given.state):
        verdict, facts = look_and_judge(given, row, strikes.load(given.state))
        strikes.save(given.state, verdict.memory)
        if verdict.heal:
            verdict = heal(verdict, given, row, facts.unit)
    notify.status(verdict.reason)
    return report(verdict, facts, row)


def placed(options: argparse.Namespace, row: Row) -> argparse.Namespace:
    """Return the options with the host's own places where none was given."""
    given, home = copy(options), registry.home() or Path()
    given.maintenance = given.maintenance or home / MAINTENANCE
    given.lock = given.lock or home / LOCK
    given.releases = given.releases or home / RELEASES
    return given


def look_and_judge(options: argparse.Namespace, row: Row, memory: Memory) -> tuple[Ruling, Facts]:
    """Return the verdict on what can be seen now."""
    facts = observe(options, row, memory)
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    return judge(facts, memory, now, options.start_seconds), facts


def observe(options: argparse.Namespace, row: Row, memory: Memory) -> Facts:
    """Return what can be seen; nothing is sent to a server that is not to be judged."""
    facts = Facts(maintenance=marks.maintenance(options.maintenance))
    if facts.maintenance:
        return facts
    unproven = marks.unproven(options.releases)
    facts = facts._replace(traces=marks.Traces(marks.deploy(options.lock), unproven))
    if facts.traces.deployed:
        return facts
    facts = facts._replace(unit=managers.reader(row.manager).ask(row))
    if facts.unit.state != "running":
        return facts
    before, embeds = look(options.url), row.kind == EMBED
    ask = embed if embeds else converse
    facts = facts._replace(before=before, chat=ask(options.url, options.model, options.timeout))
    if facts.chat.kind == "answered" and not (
        memory.measured and memory.process == (facts.unit.pid, facts.unit.started)
    ):
        return facts._replace(step=full_step(options.url, options.model, options.step_tokens, embeds))
    settled = facts.chat.kind in ("answered", "refused", "nonsense")
    return facts if settled else facts._replace(after=look(options.url))


def heal(verdict: Ruling, options: argparse.Namespace, row: Row, judged: Unit) -> Ruling:
    """Restart the very process that was judged; where it is another by now do nothing, and take the heal off the record."""
    unit = managers.reader(row.manager).ask(row)
    if (unit.state, unit.pid, unit.started) != ("running", judged.pid, judged.started):
        memory = replace(verdict.memory, heals=verdict.memory.heals[:-1])
        strikes.save(options.state, memory)
        reason = say(
            "{reason}: not restarted, for by now it is {words} (process {pid})",
            reason=verdict.reason,
            words=unit.words,
            pid=unit.pid,
        )
        return verdict._replace(state=State.WARNING, reason=reason, memory=memory)
    try:
        more = healing.restart(row, judged, options.restarter)
    except CheckError as error:
        reason = say("{reason}: not restarted: {why}", reason=verdict.reason, why=error.fault.reason)
        return verdict._replace(reason=reason, remedy=error.fault.remedy)
    return verdict._replace(
        reason=say("{reason}: {heal}{more}", reason=verdict.reason, heal=verdict.heal, more=more)
    )


def report(verdict: Ruling, facts: Facts, row: Row) -> Result:
    """Return the result."""
    memory = verdict.memory
    figures = [
        Figure("strikes", memory.strikes),
        Figure("heals", len(memory.heals)),
        Figure("gave_up", int(memory.gave_up)),
        Figure("hands_off", int(verdict.condition in HANDS_OFF)),
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
        figures=(*figures, *door.figures(row)),
        repeated=verdict.repeated,
    )
