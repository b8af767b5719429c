"""Whether a service runs, the wanted release of it, not again and again, and at its address; nothing is asked here."""

from collections.abc import Iterator
from dataclasses import replace

from python_checks.core.finding import Finding
from python_checks.core.result import State
from python_checks.core.say import count, joined, say
from python_checks.doctor import slow_start, stuck
from python_checks.doctor.signs import Signs
from python_checks.gpu.arithmetic import Budget
from python_checks.host.ports import WILDCARDS
from python_checks.log.known import over_memory
from python_checks.service import manager_words, out_of_memory, remedies
from python_checks.service.facts import Service
from python_checks.service.last_words import LastWords

DEPLOY = say("deploy: ansible-playbook deploy.yml")
ON_PURPOSE = say("somebody stopped it (drain.yml, an operator)")
REBOOTED = say("its manager was ended, or the host was rebooted")
HANGS = say("it hangs: no process ended, yet it gives no answer")
KILLS = say(
    "wait: its manager kills what outlives its time; what outlives that hangs in the driver: reboot the host"
)


def judge(name: str, signs: Signs) -> Iterator[Finding]:
    """Judge a service; what is wrong with its tools, directories and checks is not asked here."""
    service, log, how = signs.services[name], signs.logs[name], signs.condition(name)
    told = "; ".join(service.told)
    last = (
        say("{log} ends: {last}", log=service.log, last=log.last)
        if log.last and log.last not in log.cause
        else service.log
    )
    # Under a start, and at an end, a disk keeps a process in the kernel.
    held = [each for each in signs.stuck.get(name, ()) if each.state != "D" or not how.loads]
    if service.state == "absent":
        yield Finding(how.state, say("{name} is not deployed on this host", name=name), told, remedy=DEPLOY)
    elif service.state == "stopped":
        before = (
            say("it did not fail")
            if service.put_down
            else say("before that it had failed: {cause}", cause=log.cause)
        )
        evidence = "" if service.put_down else last
        purpose = manager_words.MASKED if service.words == "masked" else ON_PURPOSE
        yield Finding(
            how.state,
            say("{name} {words}", name=name, words=how.words),
            evidence,
            say("{purpose}; {before}", purpose=purpose, before=before),
            service.start,
        )
    elif service.state == "down":
        yield Finding(
            how.state, say("{name} {words}", name=name, words=how.words), last, REBOOTED, service.start
        )
    elif service.state in ("failed", "restarting"):
        yield of_end(service, log, signs)
    elif held:
        yield from (
            replace(found, symptom=say("{name} {words}", name=name, words=how.words))
            if how.state is State.CRITICAL
            else found
            for found in stuck.judge(service, held)
        )
    elif how.state is State.CRITICAL:
        deaf = "refused" in how.words and not signs.bound.get(name)
        cause = (
            say("none of its processes listens at port {port}", port=service.port)
            if deaf
            else HANGS
            if "no answer" in how.words
            else log.cause
        )
        yield Finding(
            how.state, say("{name} {words}", name=name, words=how.words), last, cause, service.restart
        )
    elif service.state == "stopping":
        yield Finding(how.state, say("{name} is {words}", name=name, words=how.words), last, "", KILLS)
    elif how.loads:
        yield from slow_start.judge(service, how, log, signs.now)
    elif service.restarts:
        words = say("{name} runs now, but was restarted by its manager: {words}", name=name, words=how.words)
        evidence = joined("; ", filter(None, (service.log, arithmetic(log.before, signs.budget(name)))))
        read = say("read what ended it: {history}", history=service.history)
        remedy = remedies.remedy(log.before, service, signs.budget(name)) if log.before else read
        yield Finding(how.state, words, evidence, log.before, remedy)
    if service.stale:
        words = say(
            "{name} runs {running}, and {current} is activated",
            name=name,
            running=service.running or say("another release"),
            current=service.current,
        )
        cause = say("a deploy was cut off between activating and restarting, or its unit was changed by hand")
        yield Finding(
            State.WARNING,
            words,
            "",
            cause,
            say("{restart}, or {deploy}", restart=service.restart, deploy=DEPLOY),
        )
    yield from of_address(name, signs)


def of_end(service: Service, log: LastWords, signs: Signs) -> Finding:
    """Say why a service ended: by its log, or where its program never ran, or wrote nothing, by its manager."""
    how, told = (
        signs.condition(service.name),
        manager_words.explain(service, signs.programs.get(service.name, "")),
    )
    last = (
        say("{log} ends: {last}", log=service.log, last=log.last)
        if log.last and log.last not in log.cause
        else service.log
    )
    parts, cause, known = [last], told.cause, told.remedy or service.history
    if log.cause and not manager_words.never_ran(service):
        parts += [then(log.followed), again(log.alike), arithmetic(log.cause, signs.budget(service.name))]
        cause, known = log.cause, log.remedy if log.remedy and not log.text else ""
        known = known or remedies.remedy(log.text or log.cause, service, signs.budget(service.name))
    start = say("; then: {start}", start=service.start) if service.state == "failed" else ""
    return Finding(
        how.state,
        say("{name} {words}", name=service.name, words=how.words),
        joined("; ", filter(None, parts)),
        cause,
        joined("", (known, start)),
    )


def of_address(name: str, signs: Signs) -> Iterator[Finding]:
    """Compare the address that a service has with the one that its command asks for."""
    service, addresses = signs.services[name], signs.bound.get(name, ())
    asked = "0.0.0.0" if service.host in WILDCARDS else service.host.replace("localhost", "127.0.0.1")
    fits = asked in addresses or (asked == "0.0.0.0" and set(addresses) & set(WILDCARDS))
    if addresses and not fits and asked[:1].isdecimal():
        words = say(
            "{name} listens on {addresses}:{port}, its command asks for {asked}",
            name=name,
            addresses=", ".join(addresses),
            port=service.port,
            asked=asked,
        )
        yield Finding(State.WARNING, words, "", say("it was started with another command"), service.restart)


def again(number: int) -> str:
    """Return how often the same cause was seen."""
    if number < 2:
        return ""
    return count(
        number,
        "the last {number} start ended with this cause",
        "the last {number} starts ended with the same cause",
    )


def arithmetic(cause: str, budget: Budget | None) -> str:
    """Return the memory of the GPUs, where a process ended over it."""
    return out_of_memory.evidence(budget) if over_memory(cause) else ""


def then(followed: str) -> str:
    """Return what came of the cause."""
    return say("what came of it: {followed}", followed=followed) if followed else ""
