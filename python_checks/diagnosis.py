"""From signs to findings: symptom, evidence, cause, remedy. Nothing is asked here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from python_checks import causes
from python_checks.condition import Condition, condition
from python_checks.last_words import LastWords
from python_checks.result import Fault, Result, State, shorten
from python_checks.services import WILDCARDS, Service
from python_checks.surroundings import Disk

DEPLOY = "deploy: ansible-playbook deploy.yml"
ON_PURPOSE = "somebody stopped it (drain.yml, an operator)"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    state: State
    symptom: str
    evidence: str = ""
    cause: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Signs:
    """All that was seen; `bound`: the addresses on which a service listens at its port."""

    services: Mapping[str, Service]
    refused: Mapping[str, str]
    logs: Mapping[str, LastWords]
    disks: Sequence[Disk]
    results: Sequence[Result]
    lacks: Sequence[str]
    strangers: Sequence[Fault]
    bound: Mapping[str, Sequence[str]]
    now: float

    def condition(self, name: str) -> Condition:
        """Return how a service is."""
        return condition(self.services[name], self.refused[name], self.logs[name], self.now)


def findings(signs: Signs) -> list[Finding]:
    """Return what is wrong, services first: what else is wrong explains them."""
    return [
        *(found for name in signs.services for found in of_service(name, signs)),
        *(found for name in signs.services for found in of_address(name, signs)),
        *of_host(signs),
        *of_checks(signs),
    ]


def of_service(name: str, signs: Signs) -> Iterator[Finding]:
    """Judge whether a service runs, the wanted release of it, and not again and again."""
    service, log, how = signs.services[name], signs.logs[name], signs.condition(name)
    last = f"{service.log} ends: {log.last}" if log.last and log.last not in log.cause else service.log
    told = "; ".join(service.told)
    remedy = log.remedy
    if service.state == "absent":
        yield Finding(how.state, f"{name} is not deployed on this host", told, remedy=DEPLOY)
    elif service.state == "stopped":
        before = "it did not fail" if service.put_down else f"before that it had failed: {log.cause}"
        yield Finding(
            how.state,
            f"{name} {how.words}",
            "" if service.put_down else last,
            f"{ON_PURPOSE}; {before}",
            service.start,
        )
    elif service.state == "down":
        yield Finding(
            how.state,
            f"{name} {how.words}",
            last,
            "its manager was ended, or the host was rebooted",
            service.start,
        )
    elif service.state == "failed":
        cause = log.cause or f"the log does not say why; the manager: {told}"
        again = f"{remedy}; then: {service.start}" if remedy else f"{service.history}; then: {service.start}"
        yield Finding(how.state, f"{name} {how.words}", last, cause, again)
    elif service.state == "restarting":
        cause = log.cause or f"the log does not say why; the manager: {told}"
        yield Finding(how.state, f"{name} {how.words}", last, cause, remedy or service.history)
    elif how.state is State.CRITICAL:
        hung = "it hangs: no process ended, yet it gives no answer" if "no answer" in how.words else log.cause
        yield Finding(how.state, f"{name} {how.words}", last, hung, service.restart)
    elif how.loads or service.state == "stopping":
        again = log.cause if service.restarts else ""
        yield Finding(how.state, f"{name} is {how.words}", last, again, "wait, or follow its log")
    elif service.restarts:
        words = f"{name} runs now, but was restarted by its manager: {how.words}"
        remedy = causes.remedy(log.before) if log.before else f"read what ended it: {service.history}"
        yield Finding(how.state, words, service.log, log.before, remedy)
    if service.stale:
        words = f"{name} runs {service.running or 'another release'}, and {service.current} is activated"
        cause = "a deploy was cut off between activating and restarting, or its unit was changed by hand"
        yield Finding(State.WARNING, words, "", cause, f"{service.restart}, or {DEPLOY}")


def of_address(name: str, signs: Signs) -> Iterator[Finding]:
    """Compare the address that a service has with the one that its command asks for."""
    service, addresses = signs.services[name], signs.bound.get(name, ())
    asked = "0.0.0.0" if service.host in WILDCARDS else service.host.replace("localhost", "127.0.0.1")
    fits = asked in addresses or (asked == "0.0.0.0" and set(addresses) & set(WILDCARDS))
    if addresses and not fits and asked[:1].isdecimal():
        words = f"{name} listens on {', '.join(addresses)}:{service.port}, its command asks for {asked}"
        yield Finding(State.WARNING, words, "", "it was started with another command", service.restart)


def of_host(signs: Signs) -> Iterator[Finding]:
    """Judge the host: disks, compiler, engines of others."""
    for disk in signs.disks:
        if disk.state is not State.OK:
            remedy = "free some: old logs, caches, environments (du -xsh DIRECTORY/*)"
            yield Finding(disk.state, f"disk nearly full: {disk}", remedy=remedy)
    if signs.lacks:
        cause = "vLLM compiles at its first request: it turns healthy, and that request ends it"
        install = "sudo apt-get install -y g++ python3-dev, then restart vLLM"
        yield Finding(State.CRITICAL, f"missing: {', '.join(signs.lacks)}", "", cause, install)
    serves = any(service.pid for service in signs.services.values() if service.name == "vllm")
    for fault in signs.strangers:  # beside a server they only take memory; a start they may keep away
        state = State.WARNING if serves else State.CRITICAL
        cause = "left by a vLLM that was killed, or another server"
        yield Finding(state, shorten(fault.reason, 300), "", cause, shorten(fault.remedy, 300))


def of_checks(signs: Signs) -> Iterator[Finding]:
    """Take over what the checks found; what was not run says nothing new."""
    alike: dict[tuple[State, str, str], list[str]] = {}
    for result in signs.results:
        if result.state is not State.OK and not result.reason.startswith("not run"):
            alike.setdefault((result.state, result.reason, result.remedy), []).append(result.check)
    for (state, reason, remedy), names in alike.items():
        yield Finding(state, f"{', '.join(names)}: {reason}", remedy=remedy)


def well(signs: Signs) -> list[str]:
    """Return what was found in order."""
    names = [name for name in signs.services if signs.condition(name).state is State.OK]
    names = [f"{name} ({signs.services[name].host}:{signs.services[name].port})" for name in names]
    names += [result.check for result in signs.results if result.state is State.OK]
    names += ["disk"] if all(disk.state is State.OK for disk in signs.disks) else []
    vllm = signs.services.get("vllm")
    return names + (["compiler"] if vllm and vllm.command and not signs.lacks else [])
