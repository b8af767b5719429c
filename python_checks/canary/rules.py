"""The canary's rules: what each condition means, when a hung server is restarted, and when no more. Facts in, verdict out."""

from dataclasses import replace
from typing import NamedTuple

from python_checks.api import garbled
from python_checks.canary.liveness import Facts, describe, moved, situation
from python_checks.canary.memory import Memory
from python_checks.core.result import State, worst
from python_checks.core.say import joined, say
from python_checks.core.words import span

STRIKES = 3  # in a row; then the server is restarted
HEALS = 3  # restarts within an HOUR; then it is left as it is
HOUR = 3600.0  # seconds
# A step that reads as many tokens as fit into one, at the end of the longest context, takes up to so many times one at its beginning: there
# attention is nothing, and there it is four fifths of the work of gpt-oss-120b and its like.
# Seen with the nano model on a CPU: 19 times at 114,000 tokens, which SLACK covers.
GROWTH = 10
SLACK = 3  # the host may be busier than it was
CEILING = 900.0  # seconds without a step, at most
UNKNOWN = 300.0  # the same where no full step was measured yet
# What a person, a deploy, a plan or a start is the reason of: whoever watches from afar is not to be called then.
HANDS_OFF = ("maintenance", "deploying", "planned", "loading", "starting", "stopping", "stopped")
SEE = say("the doctor check tells more")
# A busy server is a warning: no chat was answered, so it is not ok; and it works, so nobody need come.
RULES = {
    "maintenance": (State.OK, ""),
    "deploying": (State.OK, ""),
    "planned": (State.OK, ""),
    "alive": (State.OK, ""),
    "busy": (
        State.WARNING,
        say("fewer or shorter requests at once, or one more server; users wait as this chat did"),
    ),
    "refused": (
        State.CRITICAL,
        say("no restart mends it: compare --model, --url and the API key with the inventory; see its log"),
    ),
    "nonsense": (State.CRITICAL, garbled.REMEDY),  # a restart leaves GPUs and weights as they are
    "loading": (State.WARNING, say("follow its log; nothing is done before the end of its time to start")),
    "starting": (State.WARNING, say("follow its log")),
    "restarting": (State.WARNING, say("its manager starts it again; {see}", see=SEE)),
    "stopping": (State.WARNING, say("let its last requests end")),
    "stopped": (State.WARNING, say("start it when it is wanted again; the canary never does")),
    "failed": (
        State.CRITICAL,
        say("its manager gave up, and only a person may start it again; {see}", see=SEE),
    ),
    "dead": (State.WARNING, SEE),
    "hung": (State.WARNING, SEE),
}


class Ruling(NamedTuple):
    """What to say, what to keep, and in `heal` how to call the restart that is due, empty when none is; `repeated` as in Result."""

    condition: str
    state: State
    reason: str
    remedy: str
    memory: Memory
    heal: str = ""
    repeated: bool = False


def judge(facts: Facts, memory: Memory, now: float, start_seconds: float) -> Ruling:
    """Return the verdict; `memory` is the last run's, `now` in seconds since boot, `start_seconds` a start's at most.

    Raises:
        CheckError: it cannot be told.
    """
    process = (facts.unit.pid, facts.unit.started)
    if facts.unit.pid and process != memory.process:
        memory = Memory(process, heals=memory.heals, gave_up=memory.gave_up, step=memory.step)
    # After a reboot heals lie in the future: they count as made just now, so that they neither vanish nor stay for ever.
    memory = replace(memory, heals=tuple(min(heal, now) for heal in memory.heals if now - heal < HOUR))
    name = situation(facts, memory, start_seconds)
    state, remedy = RULES[name]
    if name in ("hung", "dead"):
        verdict = _strike(name, facts, memory, now)
    else:
        gave_up = memory.gave_up and name not in ("alive", "maintenance")
        kept = replace(learned(facts, memory), strikes=0, counters=None, gave_up=gave_up)
        if name == "alive":
            kept = replace(kept, answered=True)
        words = describe(name, facts)
        if name == "alive":
            words += say("; a step may take {age} here", age=span(patience(kept)))
        if gave_up:
            words += say("; the canary gave up on it before")
        verdict = Ruling(name, state, words, remedy, kept)
    loose = facts.traces.loose_ends if name != "maintenance" else []
    for reason, remedy in loose:
        verdict = verdict._replace(
            state=worst([verdict.state, State.WARNING]),
            reason=say("{reason}; {more}", reason=verdict.reason, more=reason),
            remedy=joined("; ", filter(None, (verdict.remedy, remedy))),
        )
    # Strikes count, and a run that fails its unit gives the reason beside systemd's words.
    name += " with loose ends" if loose else ""
    news = (
        name != memory.condition or verdict.condition in ("hung", "dead") or verdict.state is State.CRITICAL
    )
    return verdict._replace(memory=replace(verdict.memory, condition=name), repeated=not news)


def patience(memory: Memory) -> float:
    """Return how many seconds engines may make no step before they hang; three strikes come first in any case."""
    step = max(GROWTH * memory.step, memory.slowest)
    return min(SLACK * step, CEILING) if step else UNKNOWN


def learned(facts: Facts, memory: Memory) -> Memory:
    """Return the memory with what was learned of the time that a step takes."""
    if facts.step is not None:
        memory = replace(memory, measured=True, step=facts.step)
    if memory.strikes and moved(facts, memory):
        memory = replace(memory, slowest=max(memory.slowest, memory.looked - memory.still))
    return memory


def _strike(name: str, facts: Facts, memory: Memory, now: float) -> Ruling:
    strikes, heals = min(memory.strikes + 1, STRIKES), memory.heals
    words, (state, remedy) = (
        say(
            "{condition}; strike {strikes} of {limit}",
            condition=describe(name, facts),
            strikes=strikes,
            limit=STRIKES,
        ),
        RULES[name],
    )
    still = memory.still if memory.strikes else now - facts.chat.seconds
    kept = replace(memory, strikes=strikes, counters=facts.after.counters, still=still, looked=now)
    # The API server that gives no counters makes no steps: nothing of it takes long.
    computes = name == "hung" and facts.after.counters is not None and now - still < patience(memory)
    if not memory.gave_up and (strikes < STRIKES or computes):
        if strikes == STRIKES:
            words += say(
                "; no step for {age}, and a long one may take {longest} here",
                age=span(now - still),
                longest=span(patience(memory)),
            )
        return Ruling(name, state, words, remedy, kept)
    if not memory.gave_up and len(heals) < HEALS:
        kept = replace(memory, strikes=0, counters=None, heals=(*heals, now))
        heal = say("restarted, heal {number} of {limit} in an hour", number=len(heals) + 1, limit=HEALS)
        return Ruling(name, State.CRITICAL, words, remedy, kept, heal)
    words = say(
        "gave up, {heals} restarts in an hour did not help, and there will be none until a chat is "
        "answered: {words}",
        heals=HEALS,
        words=words,
    )
    return Ruling(
        name, State.CRITICAL, words, say("a person must look: {see}", see=SEE), replace(kept, gave_up=True)
    )
