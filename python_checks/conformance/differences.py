"""Two measured releases side by side: what of the conformance matrix ended or began, and which figures are worse than a limit."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from python_checks.conformance.limits import PAGE
from python_checks.core.result import Figure, Result, State
from python_checks.core.say import joined, msg, say

WELL = (State.OK, State.WARNING)
MEASURES = ("speed", "memory", "start", "release", "server")  # results that are no case of the matrix


class Measure(NamedTuple):
    """A figure that is compared.

    Attributes:
        words: What a person calls it.
        limit: Which of the limits it is held to; empty: none, it is shown alone.
        more: More is better.
        least: A difference below this, in the figure's unit, is chance.
    """

    words: str
    limit: str
    more: bool = False
    least: float = 0.0


# A first start compiles what later ones find: a longer one is no reason to go back.
FIGURES = {
    "ttft": Measure(msg("first token"), "slower", least=0.05),
    "tokens_per_second": Measure(msg("tokens a second"), "slower", more=True),
    "memory": Measure(msg("memory"), "memory", least=0.5),
    "gpu_memory": Measure(msg("GPU memory"), "memory", least=0.5),
    "cache": Measure(msg("KV cache, tokens"), "memory", more=True),
    "start": Measure(msg("start"), ""),
}


class Difference(NamedTuple):
    """A row of the table: what is compared, how it was and is, and whether that is worse (critical) or worth a look (warning)."""

    what: str
    before: str
    after: str
    state: State = State.OK
    why: str = ""


def judge(before: Sequence[Result], after: Sequence[Result], limits: Mapping[str, float]) -> list[Difference]:
    """Return the rows: versions, cases that differ, known limits that ended or began, figures.

    Args:
        before: Of the release that served; `after`: of the new one, as `checks measure` tells.
        limits: Percent that each of the limits of `FIGURES` may get worse.
    """
    old, new = ({result.check: result for result in results} for results in (before, after))
    rows = [
        Difference(word, old[name].reason, new[name].reason)
        for name, word in (("release", say("release")), ("server", say("version")))
        if name in old and name in new
    ]
    cases = [name for name in dict.fromkeys([*old, *new]) if name not in MEASURES]
    differing = [row for name in cases for row in _case(name, old.get(name), new.get(name))]
    was, now = (
        f"{sum(name in each and each[name].state in WELL for name in cases)}/{len(cases)}"
        for each in (old, new)
    )
    rows.append(Difference(say("cases that pass"), was, now))
    return rows + differing + list(_limits(before, after)) + list(_figures(before, after, limits))


def _case(name: str, old: Result | None, new: Result | None) -> Iterator[Difference]:
    """Yield the row of a case that differs, or fails in both."""
    was, now = _word(old), _word(new)
    if new is None:
        yield Difference(name, was, now, State.WARNING)
    elif new.state in WELL:
        odd = new.state is State.WARNING and not new.evidence.get("limits")
        if old is None or old.state not in WELL:
            yield Difference(name, was, now)
        elif odd and old.state is State.OK:
            yield Difference(name, was, now, State.WARNING, new.reason)
    elif old is not None and old.state in WELL:
        yield Difference(name, was, now, State.CRITICAL, new.reason)
    else:
        yield Difference(name, was, now, State.WARNING, new.reason)


def _word(result: Result | None) -> str:
    if result is None:
        return say("not asked")
    return say("passes") if result.state in WELL else say("fails")


def _limits(before: Sequence[Result], after: Sequence[Result]) -> Iterator[Difference]:
    """Yield the known limits that only one of them has."""
    old, new = (
        {str(limit) for result in results for limit in result.evidence.get("limits", ())}
        for results in (before, after)
    )
    for name in sorted(old ^ new):
        began = name in new
        words = say("known limit"), say("none")
        shown = words[::-1] if began else words
        yield Difference(
            name,
            *shown,
            State.WARNING if began else State.OK,
            say("see {page}#{anchor}", page=PAGE, anchor=name) if began else "",
        )


def _figures(
    before: Sequence[Result], after: Sequence[Result], limits: Mapping[str, float]
) -> Iterator[Difference]:
    """Yield the figures that one of them has."""
    old, new = (
        {figure.name: figure for result in results if result.check in MEASURES for figure in result.figures}
        for results in (before, after)
    )
    for name, measure in FIGURES.items():
        was, now = old.get(name), new.get(name)
        if was and now:
            state, why = _worse(measure, was, now, limits)
            yield Difference(say(measure.words), _told(was), _told(now, was), state, why)
        elif was or now:
            state = State.OK if now or not measure.limit else State.WARNING
            yield Difference(say(measure.words), _told(was), _told(now), state)


def _worse(measure: Measure, was: Figure, now: Figure, limits: Mapping[str, float]) -> tuple[State, str]:
    """Judge a figure: worse by more than its limit, and by more than chance."""
    better, worse = (now.value, was.value) if measure.more else (was.value, now.value)
    limit = limits.get(measure.limit)
    if limit is None or abs(worse - better) <= measure.least or worse <= better * (1 + limit / 100):
        return State.OK, ""
    return State.CRITICAL, say("worse than the limit of {limit:g} %", limit=limit)


def _told(figure: Figure | None, than: Figure | None = None) -> str:
    """Return a figure in words, with how much more or less it is than another."""
    if figure is None:
        return say("not told")
    size = f"{figure.value:.3g}" if abs(figure.value) < 100 else f"{figure.value:.0f}"
    words = f"{size} {figure.unit}".rstrip()
    if than is None or not than.value:
        return words
    return f"{words} ({100 * (figure.value / than.value - 1):+.0f} %)"


def verdict(rows: Sequence[Difference]) -> str:
    """Return the rows in a sentence: what is worse, or that nothing is."""
    worse = [row.what for row in rows if row.state is State.CRITICAL]
    return say("worse: {names}", names=joined(", ", worse)) if worse else say("nothing is worse than a limit")
