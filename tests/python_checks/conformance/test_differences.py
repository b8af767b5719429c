"""Two measured releases side by side: what each kind of difference is called, and which of them are worse than a limit."""

from typing import Any

import pytest

from python_checks.conformance.differences import judge, verdict
from python_checks.core.result import Figure, Result, State

LIMITS = {"slower": 25.0, "memory": 20.0}
CUT = {"limits": ["a-cut-call-looks-whole"]}


def measured(**changes: Any) -> list[Result]:
    """Return what was measured of a release: cases by name with their states, figures with their values."""
    cases = {"chat-auto": State.OK, "chat-auto-stream": State.OK, "token-limit-auto": State.OK}
    cases |= {
        name.replace("_", "-"): each for name, each in changes.items() if isinstance(each, State | None)
    }
    figures = {"ttft": 0.4, "tokens_per_second": 100.0, "memory": 8.0, "cache": 1000.0, "start": 60.0}
    figures |= {name: each for name, each in changes.items() if isinstance(each, float)}
    known = changes.get("known", {})
    return [
        Result("server", State.OK, changes.get("version", "vLLM 0.32.0")),
        *(
            Result(
                name, state, f"{name} says {state.name}", evidence=known if name == "token-limit-auto" else {}
            )
            for name, state in cases.items()
            if state is not None
        ),
        Result("speed", State.OK, "", figures=tuple(Figure(name, value) for name, value in figures.items())),
    ]


def rows(before: list[Result], after: list[Result]) -> dict[str, tuple[str, str, State]]:
    """Return the rows by what they are about."""
    return {row.what: (row.before, row.after, row.state) for row in judge(before, after, LIMITS)}


def test_the_same_twice_differs_in_nothing() -> None:
    found = rows(measured(), measured())
    assert {state for *_, state in found.values()} == {State.OK}
    assert found["cases that pass"] == ("3/3", "3/3", State.OK)
    assert found["version"] == ("vLLM 0.32.0", "vLLM 0.32.0", State.OK)
    assert not {"chat-auto", "a-cut-call-looks-whole"} & found.keys()
    assert verdict(judge(measured(), measured(), LIMITS)) == "nothing is worse than a limit"


CASES = [
    (State.OK, State.CRITICAL, ("passes", "fails", State.CRITICAL)),
    (State.OK, State.UNKNOWN, ("passes", "fails", State.CRITICAL)),
    (State.WARNING, State.CRITICAL, ("passes", "fails", State.CRITICAL)),
    (State.CRITICAL, State.OK, ("fails", "passes", State.OK)),
    (State.CRITICAL, State.CRITICAL, ("fails", "fails", State.WARNING)),
    (State.OK, State.WARNING, ("passes", "passes", State.WARNING)),
    (State.WARNING, State.OK, None),
    (State.OK, None, ("passes", "not asked", State.WARNING)),
    (None, State.OK, ("not asked", "passes", State.OK)),
    (None, State.CRITICAL, ("not asked", "fails", State.WARNING)),
]


@pytest.mark.parametrize(("before", "after", "wanted"), CASES)
def test_a_case(before: State | None, after: State | None, wanted: tuple[str, str, State] | None) -> None:
    assert rows(measured(chat_auto=before), measured(chat_auto=after)).get("chat-auto") == wanted


def test_a_known_limit_ends_or_begins() -> None:
    has, has_not = measured(token_limit_auto=State.WARNING, known=CUT), measured()
    (name,) = CUT["limits"]
    assert rows(has, has_not)[name] == ("known limit", "none", State.OK)
    assert rows(has_not, has)[name] == ("none", "known limit", State.WARNING)
    assert "token-limit-auto" not in rows(has_not, has)  # its row is that of the limit
    assert name not in rows(has, has)
    (row,) = (row for row in judge(has_not, has, LIMITS) if row.what == name)
    assert row.why == f"see docs/conformance.md#{name}"


FIGURES = [
    ("first token", "ttft", 0.49, State.OK),  # of 0.4
    ("first token", "ttft", 0.51, State.CRITICAL),
    ("first token", "ttft", 0.1, State.OK),
    ("tokens a second", "tokens_per_second", 81.0, State.OK),  # of 100: 100 is 1.23 of it
    ("tokens a second", "tokens_per_second", 79.0, State.CRITICAL),
    ("memory", "memory", 9.5, State.OK),  # of 8
    ("memory", "memory", 9.7, State.CRITICAL),
    ("KV cache, tokens", "cache", 800.0, State.CRITICAL),  # of 1000
    ("KV cache, tokens", "cache", 900.0, State.OK),
    ("start", "start", 600.0, State.OK),  # of 60: a first start compiles
]


@pytest.mark.parametrize(("what", "name", "value", "state"), FIGURES)
def test_a_figure(what: str, name: str, value: float, state: State) -> None:
    found = judge(measured(), measured(**{name: value}), LIMITS)
    assert {row.what: row.state for row in found if row.state is not State.OK} == (
        {what: state} if state is not State.OK else {}
    )
    words = "nothing is worse than a limit" if state is State.OK else f"worse: {what}"
    assert verdict(found) == words


@pytest.mark.parametrize(("name", "small", "more"), [("ttft", 0.02, 0.06), ("memory", 0.3, 0.7)])
def test_a_small_difference_is_chance(name: str, small: float, more: float) -> None:
    assert State.CRITICAL not in [
        row.state for row in judge(measured(**{name: small}), measured(**{name: more}), LIMITS)
    ]


def test_a_limit_is_the_callers() -> None:
    slow = measured(), measured(tokens_per_second=60.0)
    assert State.CRITICAL in [row.state for row in judge(*slow, LIMITS)]
    assert State.CRITICAL not in [row.state for row in judge(*slow, LIMITS | {"slower": 70.0})]


def test_a_figure_that_only_one_has() -> None:
    before, after = measured(), measured()
    after[-1] = Result("speed", State.OK, "", figures=(Figure("gpu_memory", 70.0, "GiB"),))
    found = rows(before, after)
    assert found["GPU memory"] == ("not told", "70 GiB", State.OK)
    assert found["tokens a second"] == ("100", "not told", State.WARNING)
    assert found["start"] == ("60", "not told", State.OK)
