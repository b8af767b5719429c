"""A service as its manager has it at this moment: all that the canary and a restart need, asked in one call."""

import os
import time
from typing import NamedTuple

from python_checks.core import command
from python_checks.core.result import CheckError, Fault, State, shorten
from python_checks.core.say import say
from python_checks.host import processes

TIMEOUT = 10.0  # seconds for an answer


class Unit(NamedTuple):
    """A service as its manager has it.

    Attributes:
        state: running, starting, stopping, restarting (ended, and is started again), stopped, planned (stopped by plan) or failed.
        words: The manager's own.
        pid: Its main process while it runs, else 0.
        started: When that was, in clock ticks since boot: with the id it is nobody else's.
        age: Of that process, in seconds.
        proven: It is called running only once it has answered.
    """

    state: str
    words: str = ""
    pid: int = 0
    started: int = 0
    age: float = 0.0
    proven: bool = False


def of(state: str, words: str, pid: int, proven: bool) -> Unit:
    """Return a unit with what /proc tells of its process."""
    if state != "running":
        return Unit(state, words)
    facts = processes.stat(pid)
    if facts is None:
        return Unit("restarting", say("{words}, but its process {pid} has ended", words=words, pid=pid))
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - facts.started / os.sysconf("SC_CLK_TCK")
    return Unit(state, words, pid, facts.started, age, proven)


def call(words: list[str]) -> command.Output:
    """Run a program of a manager.

    Raises:
        CheckError: it cannot be run, or gives no answer.
    """
    try:
        return command.run(words, TIMEOUT)
    except OSError as error:  # TimeoutError too
        raise CheckError(puzzle(words[0], "it", str(error))) from error


def puzzle(who: str, unit: str, said: str) -> Fault:
    """Return the fault of a manager that does not tell how a service is."""
    remedy = say(
        "is it deployed here, under this manager and name? deploy again: ansible-playbook deploy.yml"
    )
    return Fault(
        say(
            "{who} does not tell how {unit} is: {said}",
            who=who,
            unit=unit,
            said=shorten(said) or say("no words"),
        ),
        remedy,
        State.UNKNOWN,
    )
