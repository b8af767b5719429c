"""What the canary saw in one run, and what is the case by it: busy is not hung. Nothing is asked here."""

from typing import NamedTuple

from python_checks.api.metrics import Counters, Queue
from python_checks.canary.memory import Memory
from python_checks.core.result import CheckError, Fault, State
from python_checks.core.say import say
from python_checks.core.words import span
from python_checks.service.marks import Traces
from python_checks.service.unit import Unit


class Chat(NamedTuple):
    """The chat.

    Attributes:
        kind: answered, refused (a fault of the request), nonsense (no words), failed (of the server), full (503), gone
            (nobody there), late; none when there was none.
        words: How it went.
        seconds: How long it took.
    """

    kind: str = "none"
    words: str = ""
    seconds: float = 0.0


class Look(NamedTuple):
    """What /metrics told: nothing where it gave no answer; `blind`: why an answer told no counters."""

    counters: Counters | None = None
    queue: Queue | None = None
    blind: str = ""


class Facts(NamedTuple):
    """What was seen in one run.

    Attributes:
        maintenance: Who, when and why; empty without.
        traces: Of deploys: one that works now, or what one that was cut off left.
        unit: The service under its manager; its state is empty when that was not asked.
        chat: With the server.
        before, after: Looks at its engines around the chat.
        step: Seconds that a request of one full step took, 0 when it was refused; None when none was sent.
    """

    maintenance: str = ""
    traces: Traces = Traces()
    unit: Unit = Unit("")
    chat: Chat = Chat()
    before: Look = Look()
    after: Look = Look()
    step: float | None = None

    @property
    def queue(self) -> Queue | None:
        """Return the queue as it was last seen."""
        return self.after.queue or self.before.queue


def situation(facts: Facts, memory: Memory, start_seconds: float) -> str:
    """Return the name of what is the case, a key of RULES.

    Raises:
        CheckError: it cannot be told.
    """
    unit = facts.unit
    loads = not unit.proven and not memory.answered and unit.age < start_seconds
    match unit.state, facts.chat.kind:
        case _ if facts.maintenance:
            return "maintenance"
        case _ if facts.traces.deployed:
            return "deploying"
        case "running", "answered":
            return "alive"
        case "running", "refused" | "nonsense":
            return facts.chat.kind
        case "running", _ if loads:
            return "loading"
        case "running", "late" | "full" if facts.after.blind:
            words = say(
                "{words}; busy or hung cannot be told: {blind}",
                words=facts.chat.words,
                blind=facts.after.blind,
            )
            raise CheckError(Fault(words, say("serve without --disable-log-stats"), State.UNKNOWN))
        case "running", "failed" if moved(facts, memory):
            return "refused"
        case "running", _ if moved(facts, memory):
            return "busy"
        case "running", "late":
            return "hung"
        case "running", _:
            return "dead"
    return unit.state


def moved(facts: Facts, memory: Memory) -> bool:
    """Tell whether the engines made a step during the chat, or since the last strike: steps may be slower than a chat's deadline."""
    now = facts.after.counters
    return now is not None and (now != facts.before.counters or memory.counters not in (None, now))


def describe(name: str, facts: Facts) -> str:
    """Return the condition in words."""
    unit, chat = facts.unit, facts.chat
    queue = say("; {queue}", queue=facts.queue) if facts.queue else ""
    match name:
        case "maintenance":
            return facts.maintenance
        case "planned":
            return unit.words
        case "deploying":
            return say("deploying: {who}", who=facts.traces.deploy.who)
        case "alive":
            return say("alive: {words}{queue}", words=chat.words, queue=queue)
        case "busy":
            return say("busy: {words}, while its engines work{queue}", words=chat.words, queue=queue)
        case "hung":
            still = (
                say("its engines make no step")
                if facts.after.counters
                else say("/metrics gives no answer either")
            )
            return say(
                "hung: {words}, and {still} (pid {pid}){queue}",
                words=chat.words,
                still=still,
                pid=unit.pid,
                queue=queue,
            )
        case "loading":
            return say("loading for {age}: {words}", age=span(unit.age), words=chat.words)
        case "refused" | "nonsense" | "dead":
            return say("{name}: {words} (pid {pid})", name=name, words=chat.words, pid=unit.pid)
    return (
        name if unit.words == name else say("{name}: its manager says {words}", name=name, words=unit.words)
    )
