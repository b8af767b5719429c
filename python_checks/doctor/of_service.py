"""Whether a service runs, the wanted release of it, not again and again, and at its address; nothing is asked here."""

from collections.abc import Iterator
from dataclasses import replace

from python_checks.core.finding import Finding
from python_checks.core.result import State
from python_checks.doctor import slow_start, stuck
from python_checks.doctor.signs import Signs
from python_checks.gpu.arithmetic import Budget
from python_checks.host.ports import WILDCARDS
from python_checks.log.known import over_memory
from python_checks.service import manager_words, out_of_memory, remedies
from python_checks.service.facts import Service
from python_checks.service.last_words import LastWords

DEPLOY = "deploy: ansible-playbook deploy.yml"
ON_PURPOSE = "somebody stopped it (drain.yml, an operator)"
HANGS = "it hangs: no process ended, yet it gives no answer"
KILLS = (
    "wait: its manager kills what outlives its time; what outlives that hangs in the driver: reboot the host"
)
DEAF = "none of its processes listens at port {}"


def judge(name: str, signs: Signs) -> Iterator[Finding]:
    """Judge a service; what is wrong with its tools, directories and checks is not asked here."""
    service, log, how = signs.services[name], signs.logs[name], signs.condition(name)
    told = "; ".join(service.told)
    last = f"{service.log} ends: {log.last}" if log.last and log.last not in log.cause else service.log
    # Under a start, and at an end, a disk keeps a process in the kernel.
    held = [each for each in signs.stuck.get(name, ()) if each.state != "D" or not how.loads]
    if service.state == "absent":
        yield Finding(how.state, f"{name} is not deployed on this host", told, remedy=DEPLOY)
    elif service.state == "stopped":
        before = "it did not fail" if service.put_down else f"before that it had failed: {log.cause}"
        evidence = "" if service.put_down else last
        purpose = manager_words.MASKED if service.words == "masked" else ON_PURPOSE
        yield Finding(how.state, f"{name} {how.words}", evidence, f"{purpose}; {before}", service.start)
    elif service.state == "down":
        cause = "its manager was ended, or the host was rebooted"
        yield Finding(how.state, f"{name} {how.words}", last, cause, service.start)
    elif service.state in ("failed", "restarting"):
        yield of_end(service, log, signs)
    elif held:
        yield from (
            replace(found, symptom=f"{name} {how.words}") if how.state is State.CRITICAL else found
            for found in stuck.judge(service, held)
        )
    elif how.state is State.CRITICAL:
        deaf = "refused" in how.words and not signs.bound.get(name)
        cause = DEAF.format(service.port) if deaf else HANGS if "no answer" in how.words else log.cause
        yield Finding(how.state, f"{name} {how.words}", last, cause, service.restart)
    elif service.state == "stopping":
        yield Finding(how.state, f"{name} is {how.words}", last, "", KILLS)
    elif how.loads:
        yield from slow_start.judge(service, how, log, signs.now)
    elif service.restarts:
        words = f"{name} runs now, but was restarted by its manager: {how.words}"
        evidence = "; ".join(filter(None, (service.log, arithmetic(log.before, signs.budget(name)))))
        remedy = f"read what ended it: {service.history}"
        remedy = remedies.remedy(log.before, service, signs.budget(name)) if log.before else remedy
        yield Finding(how.state, words, evidence, log.before, remedy)
    if service.stale:
        words = f"{name} runs {service.running or 'another release'}, and {service.current} is activated"
        cause = "a deploy was cut off between activating and restarting, or its unit was changed by hand"
        yield Finding(State.WARNING, words, "", cause, f"{service.restart}, or {DEPLOY}")
    yield from of_address(name, signs)


def of_end(service: Service, log: LastWords, signs: Signs) -> Finding:
    """Say why a service ended: by its log, or where its program never ran, or wrote nothing, by its manager."""
    how, told = (
        signs.condition(service.name),
        manager_words.explain(service, signs.programs.get(service.name, "")),
    )
    last = f"{service.log} ends: {log.last}" if log.last and log.last not in log.cause else service.log
    parts, cause, known = [last], told.cause, told.remedy or service.history
    if log.cause and not manager_words.never_ran(service):
        parts += [then(log.followed), again(log.alike), arithmetic(log.cause, signs.budget(service.name))]
        cause, known = log.cause, log.remedy if log.remedy and not log.text else ""
        known = known or remedies.remedy(log.text or log.cause, service, signs.budget(service.name))
    start = f"; then: {service.start}" if service.state == "failed" else ""
    return Finding(
        how.state, f"{service.name} {how.words}", "; ".join(filter(None, parts)), cause, f"{known}{start}"
    )


def of_address(name: str, signs: Signs) -> Iterator[Finding]:
    """Compare the address that a service has with the one that its command asks for."""
    service, addresses = signs.services[name], signs.bound.get(name, ())
    asked = "0.0.0.0" if service.host in WILDCARDS else service.host.replace("localhost", "127.0.0.1")
    fits = asked in addresses or (asked == "0.0.0.0" and set(addresses) & set(WILDCARDS))
    if addresses and not fits and asked[:1].isdecimal():
        words = f"{name} listens on {', '.join(addresses)}:{service.port}, its command asks for {asked}"
        yield Finding(State.WARNING, words, "", "it was started with another command", service.restart)


def again(number: int) -> str:
    """Return how often the same cause was seen."""
    return f"the last {number} starts ended with the same cause" if number > 1 else ""


def arithmetic(cause: str, budget: Budget | None) -> str:
    """Return the memory of the GPUs, where a process ended over it."""
    return out_of_memory.evidence(budget) if over_memory(cause) else ""


def then(followed: str) -> str:
    """Return what came of the cause."""
    return f"what came of it: {followed}" if followed else ""
