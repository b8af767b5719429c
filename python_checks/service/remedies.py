"""What to do about a cause: the one place that `wait`, `doctor`, `status` and `config` ask."""

from python_checks.core.say import say
from python_checks.gpu.arithmetic import Budget
from python_checks.log import known
from python_checks.service import out_of_memory
from python_checks.service.facts import Service

OTHER = say("read the log")


def remedy(text: str, service: Service | None = None, budget: Budget | None = None) -> str:
    """Return what to do about a cause.

    Args:
        text: Its lines, in the order of their weight; one that says nothing leaves it to the next, and in the end to all together.
        service: What ended; its command holds what it asked for.
        budget: Memory of the smallest GPU as the gpu check reckons it, where it is known.
    """
    return found(text, service, budget) or OTHER


def found(text: str, service: Service | None = None, budget: Budget | None = None) -> str:
    """Return what to do about a cause, and an empty string where nothing is known of it."""
    lines = known.lines(text)
    for line in lines:
        if known.over_memory(line):
            return out_of_memory.remedy(text, service or Service(), budget)
        if advice := known.strong(line):
            return advice
    return next(filter(None, map(known.weak, lines)), "")
