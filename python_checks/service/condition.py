"""How a service is, in one line: what its manager says, and whether it answers."""

from dataclasses import dataclass

from python_checks.core.result import State
from python_checks.core.words import ago, count, span, stamp
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
    when = f" {ago(service.since, now)}" if service.since else ""
    ended = f" ({service.ended})" if service.ended else ""
    restarts = _restarts(service)
    match service.state:
        case "running" if not refused:
            since = f"running for {span(age)} (since {stamp(service.since, now)}), pid {service.pid}"
            return Condition(State.WARNING if service.restarts else State.OK, f"{since}, {restarts}")
        case "running" | "starting" if service.state == "starting" or age < LOADING:
            phase = service.detail or log.phase or (FIRST if service.engine else service.words)
            again = f"; {restarts}" if service.restarts else ""
            return Condition(State.WARNING, f"starting for {span(age)}: {phase}{again}", loads=True)
        case "running":
            words = f"runs for {span(age)} (pid {service.pid}) and does not answer: {refused}"
            return Condition(State.CRITICAL, f"{words}; {restarts}")
        case "stopping":
            words = f"stopping for {span(age)}: running requests get their time to end"
            return Condition(State.WARNING, words)
        case "restarting":
            return Condition(State.CRITICAL, f"ended{when}{ended} and will be started again; {restarts}")
        case "stopped":
            boot = "" if service.boot else "; not started with the host either"
            return Condition(State.CRITICAL, f"stopped{when}{ended}: it stays so until it is started{boot}")
        case "failed":
            given_up = f", given up after {restarts}" if service.gave_up else ""
            return Condition(State.CRITICAL, f"failed{when}{ended}{given_up}")
        case "down":
            return Condition(State.CRITICAL, f"does not run: {service.words}")
    return Condition(State.CRITICAL, "not deployed on this host")


def _restarts(service: Service) -> str:
    span_words = f" in {service.restarts_hours} h" if service.restarts_hours else " since it was last started"
    return count(service.restarts, "automatic restart") + span_words
