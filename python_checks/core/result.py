"""What every check returns: a state, the reason for it, and what to do about it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple, Self

from python_checks.core.hidden import without
from python_checks.core.say import Said, joined, say


class State(IntEnum):
    """Verdict of a check; the value is the exit code (convention of the monitoring plugins)."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3

    @property
    def word(self) -> Said:
        """Return its name for a person."""
        return (say("ok"), say("warning"), say("critical"), say("unknown"))[self]


# Worst last: a proven fault outranks a check that could not be made, and that outranks a warning.
SEVERITY = (State.OK, State.WARNING, State.UNKNOWN, State.CRITICAL)
LONGEST = 8000  # characters of a reason


@dataclass(frozen=True)
class Fault:
    """One broken point, with its own remedy."""

    reason: str
    remedy: str
    state: State = State.CRITICAL

    def __post_init__(self) -> None:
        """Quote nobody who quotes an API key."""
        object.__setattr__(self, "reason", without(self.reason))
        object.__setattr__(self, "remedy", without(self.remedy))


class Figure(NamedTuple):
    """A measured number of a check, as monitoring keeps it.

    Attributes:
        name: Short, in lower case with underscores, e.g. `ttft`.
        value: In `unit`.
        unit: "s" for seconds, "" for a plain number.
        warning: The number at which the check warns, None when there is none.
        critical: The number at which it fails, None when there is none.
    """

    name: str
    value: float
    unit: str = ""
    warning: float | None = None
    critical: float | None = None


@dataclass(frozen=True)
class Result:
    """Outcome of one check.

    Attributes:
        check: Name of the check, as typed on the command line.
        state: The verdict.
        reason: Why, in one line.
        remedy: What to do; empty when nothing is wrong.
        seconds: How long the check took.
        evidence: Facts behind the verdict, JSON-able.
        figures: What it measured besides its time.
        repeated: The last run found the same, so that a journal need not be told again.
        service: The service of the host that it is about; empty where an address was typed.
    """

    check: str
    state: State
    reason: str
    remedy: str = ""
    seconds: float = 0.0
    evidence: dict[str, Any] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    repeated: bool = False
    service: str = ""

    def __post_init__(self) -> None:
        """Keep reason and remedy on one line each, short, and API keys out of all, whatever a server put into them."""
        object.__setattr__(self, "reason", shorten(self.reason, LONGEST))
        object.__setattr__(self, "remedy", shorten(self.remedy, LONGEST))
        object.__setattr__(self, "evidence", without(self.evidence))

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {
            "check": self.check,
            "service": self.service,
            "state": self.state.name.lower(),
            "reason": self.reason,
            "remedy": self.remedy,
            "seconds": round(self.seconds, 3),
            "evidence": self.evidence,
            "figures": [figure._asdict() for figure in self.figures],
        }

    @classmethod
    def of_dict(cls, given: Mapping[str, Any]) -> Self:
        """Return the result that `as_dict` made plain.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: it made no such thing.
        """
        return cls(
            str(given["check"]),
            State[given["state"].upper()],
            str(given["reason"]),
            str(given["remedy"]),
            float(given["seconds"]),
            dict(given.get("evidence", {})),
            tuple(
                Figure(**{**figure, "value": float(figure["value"])}) for figure in given.get("figures", ())
            ),
            service=str(given.get("service", "")),
        )


def of(result: Result, service: str, several: bool) -> Result:
    """Return a result as one of a service; `several`: others of the host have such a one, so that its name says of which it is."""
    name = say("{check} of {service}", check=result.check, service=service) if several else result.check
    return replace(result, check=name, service=service)


class Line(NamedTuple):
    """One line of a screen, in `evidence["screen"]`: its label, its words, and whether it is well."""

    label: str
    words: str
    state: State = State.OK


class CheckError(Exception):
    """Raised where a check cannot go on; carries the fault that the check then reports."""

    def __init__(self, fault: Fault) -> None:
        """Carry `fault`; its reason is the message."""
        super().__init__(fault.reason)
        self.fault = fault


def plain(text: str) -> str:
    """Return `text` with a blank for each character that a terminal would obey rather than show."""
    return "".join(char if char.isprintable() else " " for char in text)


def one_line(text: str) -> str:
    """Return `text` with every run of white space and control characters as one blank."""
    return text.through(one_line) if isinstance(text, Said) else " ".join(plain(text).split())


def shorten(text: str, length: int = 120) -> str:
    """Return `text` on one line, cut to `length` characters with an ellipsis; no part of an API key is left of it."""
    if isinstance(text, Said):
        return text.through(partial(shorten, length=length))
    # Of megabytes only the beginning is shown, so only that is read.
    start = without(text).strip()[: 50 * length]
    line = one_line(start)
    whole = len(start) < 50 * length and len(line) <= length
    return line if whole else line[: length - 3] + "..."


def bounded(value: Any) -> Any:
    """Return a value of a reply as evidence: itself, or of a huge one the beginning of its text."""
    text = json.dumps(value, ensure_ascii=False)
    return value if len(text) <= LONGEST else shorten(text, LONGEST)


def worst(states: Sequence[State]) -> State:
    """Return the worst of `states`; none at all is unknown."""
    return max(states, key=SEVERITY.index, default=State.UNKNOWN)


def conclude(
    check: str, faults: Sequence[Fault], ok_reason: str, evidence: dict[str, Any] | None = None
) -> Result:
    """Make a result of the faults found: all reasons, each remedy once; ok when there are none."""
    if not faults:
        return Result(check, State.OK, ok_reason, evidence=evidence or {})
    return Result(
        check,
        worst([fault.state for fault in faults]),
        joined("; ", (fault.reason for fault in faults)),
        joined("; ", dict.fromkeys(fault.remedy for fault in faults if fault.remedy)),
        evidence=evidence or {},
    )
