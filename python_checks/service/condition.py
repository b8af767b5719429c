"""How a service is, in one line: what its manager says, and whether it answers."""

from dataclasses import dataclass

from python_checks.core.result import State
from python_checks.core.say import Said, count, joined, msg, say
from python_checks.core.words import ago, span, stamp
from python_checks.log.phases import FIRST
from python_checks.service.facts import Service
from python_checks.service.last_words import LastWords

LOADING = 900.0  # seconds; a vLLM that does not answer by then is not loading any more


@dataclass(frozen=True)
class Condition:
    """A verdict on a service, and the words for it; `loads`: it will answer soon."""

    state: State
    words: str
    loads: bool = False


def condition(service: Service, refused: str, log: LastWords, now: float) -> Condition:
    """Judge a service; `refused` says why it did not answer, empty when it did."""
    age = now - service.since if service.since else 0.0
    when = joined("", (" ", ago(service.since, now))) if service.since else ""
    ended = say(" ({ended})", ended=service.ended) if service.ended else ""
    restarts = _restarts(service)
    match service.state:
        case "running" if not refused:
            since = say(
                "running for {age} (since {time}), pid {pid}",
                age=span(age),
                time=stamp(service.since, now),
                pid=service.pid,
            )
            return Condition(
                State.WARNING if service.restarts else State.OK,
                say("{since}, {restarts}", since=since, restarts=restarts),
            )
        case "running" | "starting" if service.state == "starting" or age < LOADING:
            phase = service.detail or log.phase or (FIRST if service.engine else service.words)
            again = say("; {restarts}", restarts=restarts) if service.restarts else ""
            return Condition(
                State.WARNING,
                say("starting for {age}: {phase}{again}", age=span(age), phase=phase, again=again),
                loads=True,
            )
        case "running":
            words = say(
                "runs for {age} (pid {pid}) and does not answer: {refused}",
                age=span(age),
                pid=service.pid,
                refused=refused,
            )
            return Condition(State.CRITICAL, say("{words}; {restarts}", words=words, restarts=restarts))
        case "stopping":
            words = say("stopping for {age}: running requests get their time to end", age=span(age))
            return Condition(State.WARNING, words)
        case "restarting":
            return Condition(
                State.CRITICAL,
                say(
                    "ended{when}{ended} and will be started again; {restarts}",
                    when=when,
                    ended=ended,
                    restarts=restarts,
                ),
            )
        case "stopped":
            boot = "" if service.boot else say("; not started with the host either")
            return Condition(
                State.CRITICAL,
                say(
                    "stopped{when}{ended}: it stays so until it is started{boot}",
                    when=when,
                    ended=ended,
                    boot=boot,
                ),
            )
        case "failed":
            given_up = say(", given up after {restarts}", restarts=restarts) if service.gave_up else ""
            return Condition(
                State.CRITICAL,
                say("failed{when}{ended}{given_up}", when=when, ended=ended, given_up=given_up),
            )
        case "down":
            return Condition(State.CRITICAL, say("does not run: {words}", words=service.words))
    return Condition(State.CRITICAL, say("not deployed on this host"))


def _restarts(service: Service) -> Said:
    number, hours = service.restarts, service.restarts_hours
    if not hours:
        return count(
            number,
            "{number} automatic restart since it was last started",
            "{number} automatic restarts since it was last started",
            none=msg("no automatic restart since it was last started"),
        )
    return count(
        number,
        "{number} automatic restart in {hours} h",
        "{number} automatic restarts in {hours} h",
        none=msg("no automatic restart in {hours} h"),
        hours=hours,
    )
