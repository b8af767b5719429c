"""What vLLM is known not to do: such a fault is a warning, with the place that explains it."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from python_checks.core.result import Fault, State
from python_checks.core.say import say

PAGE = "docs/conformance.md"


class Limit(NamedTuple):
    """A known limit: the cases it shows in, what their fault says, its heading in PAGE, the version that ended it."""

    cases: str
    words: str
    anchor: str
    mended: tuple[int, ...] = ()


LIMITS = (
    Limit(r"chat-none(-stream)?", r": no content \(", "none-leaves-no-answer"),
    Limit(r"chat-none-stream", r"although tool_choice is none", "none-on-a-stream"),
    Limit(r"responses-none", r"although tool_choice is none", "none-on-responses"),
    Limit(r"token-limit-auto", r"does not say so", "a-cut-call-looks-whole"),
    Limit(
        r"(chat|responses)-(required|named)(-stream)?", r"break the schema|is empty$", "arguments-are-free"
    ),
    Limit(r"strict-arguments", r"break the schema", "strict-is-not-known", mended=(0, 25)),
)


def version(text: object) -> tuple[int, ...]:
    """Return the numbers of a version like `0.32.0`; empty when it is none."""
    found = re.match(r"(\d+)\.(\d+)", text) if isinstance(text, str) else None
    return tuple(map(int, found.groups())) if found else ()


def soften(case: str, faults: Sequence[Fault], served: tuple[int, ...]) -> list[Fault]:
    """Return the faults of a case, those that are known limits of the version `served` as warnings."""
    return [_softened(fault, known(case, fault, served)) for fault in faults]


def known(case: str, fault: Fault, served: tuple[int, ...]) -> str:
    """Return the heading in PAGE of the known limit that a fault is; empty when it is none."""
    for limit in LIMITS:
        open_still = not limit.mended or (served and served < limit.mended)
        if open_still and re.fullmatch(limit.cases, case) and re.search(limit.words, fault.reason):
            return limit.anchor
    return ""


def _softened(fault: Fault, anchor: str) -> Fault:
    if not anchor:
        return fault
    words = say("{reason} (known limit of vLLM)", reason=fault.reason)
    return Fault(words, say("see {page}#{anchor}", page=PAGE, anchor=anchor), State.WARNING)
