"""JSON as every client takes it: what JSON.parse refuses, and what no client can hold, is refused here as well."""

import json
from typing import Any

from python_checks.core.say import say

DEPTH = 100  # levels of arrays and objects
VALUES = 400_000  # by their brackets and commas; Python needs up to 90 bytes for each
DIGITS = 15  # of a whole number that JavaScript still holds exactly


class RefusedJsonError(ValueError):
    """Text that some parsers take and others refuse; the message says why."""


def loads(text: str) -> Any:
    """Return the value in `text`.

    Raises:
        RefusedJsonError: it looks like JSON, and clients refuse it.
        ValueError: it is no JSON.
    """
    if size(text) > VALUES:
        raise RefusedJsonError(say("it holds more than {values} values", values=VALUES))
    try:
        value = json.loads(
            text,
            parse_int=_whole_number,
            parse_float=_number,
            parse_constant=_constant,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise RefusedJsonError(say("it nests deeper than {depth} levels", depth=DEPTH)) from None
    if text.count("[") + text.count("{") > DEPTH and _deep(value):
        raise RefusedJsonError(say("it nests deeper than {depth} levels", depth=DEPTH))
    return value


def size(text: str) -> int:
    """Return how many values a text may hold, at most."""
    return 1 + sum(map(text.count, "[{,"))


def _whole_number(digits: str) -> int | float:
    return int(digits) if len(digits) <= DIGITS else _number(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise RefusedJsonError(say("a number in it is too large"))
    return number


def _constant(name: str) -> Any:
    raise RefusedJsonError(say("{name} in it is no JSON", name=name))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise RefusedJsonError(
            say("the key {key} in it comes twice", key=json.dumps(twice[:40], ensure_ascii=False))
        )
    return found


def _deep(value: Any) -> bool:
    """Tell whether a value has more than DEPTH levels; level by level, as a recursion has its limits, too."""
    level = [value]
    for _ in range(DEPTH + 1):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)
