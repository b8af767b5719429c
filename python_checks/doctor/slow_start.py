"""A start under way: what it does, how far it is, since when, and whether that is normal (the guide's 6.3)."""

from collections.abc import Iterator

from python_checks.core.finding import Finding
from python_checks.core.result import State
from python_checks.core.say import joined, msg, say
from python_checks.core.words import ago, span
from python_checks.service.condition import Condition
from python_checks.service.facts import Service
from python_checks.service.last_words import LastWords

SOON = 120.0  # seconds that the guide gives a start
QUIET = 300.0  # seconds; longer than a shard or a compilation of the model's parts takes without a word
NORMAL = say("normal: a start takes 1 to 2 minutes")
LONGER = say(
    "normal for 120B: weights come from disk as fast as it reads, and a first start compiles; 5 "
    "minutes and more are seen"
)
STILL = say(
    "not normal: it has written nothing for {age} and more; a disk, a driver or another node does not answer",
    age=span(QUIET),
)
NODES = msg("it waits for its other nodes: its command has --nnodes {number}, and each must be started")
AGAIN = msg("it was started again, since the process before ended: {cause}")


def judge(service: Service, how: Condition, log: LastWords, now: float) -> Iterator[Finding]:
    """Make a finding of a start under way."""
    evidence = joined(
        "; ",
        filter(
            None, (progress(log), written(service, log, now), log.last and say("last: {last}", last=log.last))
        ),
    )
    nodes = service.option("--nnodes", default="1")
    quiet = bool(log.written) and now - log.written > QUIET
    age = now - service.since if service.since else 0.0
    if service.restarts and log.before:
        cause = say(AGAIN, cause=log.before)
    elif nodes != "1":
        cause = say(NODES, number=nodes)
    else:
        cause = STILL if quiet else NORMAL if age <= SOON else LONGER
    watch = say("wait, and follow it: tail -f {log}", log=service.log) if service.log else say("wait")
    remedy = (
        say("see dmesg, and iostat -x 5 for the disk; then: {restart}", restart=service.restart)
        if cause == STILL
        else watch
    )
    yield Finding(
        State.WARNING, say("{name} is {words}", name=service.name, words=how.words), evidence, cause, remedy
    )


def progress(log: LastWords) -> str:
    """Return how far the weights are, by the log; empty when it does not load them."""
    bar = log.bar
    if not bar or not bar.total:
        return ""
    percent = 100 * bar.done // bar.total
    left = "" if "?" in bar.left else say(", {left} left", left=bar.left)
    return say(
        "the log: {percent} % of the weights ({done} of {total} shards) in {passed}{left}",
        percent=percent,
        done=bar.done,
        total=bar.total,
        passed=bar.passed,
        left=left,
    )


def written(service: Service, log: LastWords, now: float) -> str:
    """Return when the log was last written to."""
    return (
        say("{log}, last written {when}", log=service.log, when=ago(log.written, now))
        if log.written
        else service.log
    )
