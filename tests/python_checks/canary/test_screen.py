"""Lines about the canary and the deep probe: what they keep is shown, and silence is no good news."""

import time
from pathlib import Path

from python_checks.canary import screen
from python_checks.core.result import Line, Result, State
from python_checks.report import history, verdict

OK = Result("chat-auto", State.OK, "get_weather({})")
LIMIT = Result("chat-none", State.WARNING, "no content (known limit)")
BROKEN = Result("chat-named", State.CRITICAL, "no tool call", "set the flags")


def canary(directory: Path, later: float = 0.0) -> Line:
    return screen.lines(directory, time.time() + later)[0]


def deep(directory: Path, later: float = 0.0) -> Line:
    return screen.lines(directory, time.time() + later)[1]


def night(directory: Path, *results: Result) -> None:
    """Keep what a run of the deep probe keeps."""
    verdict.remember(directory / screen.DEEP, results, {})
    history.record(directory / screen.HISTORY, results, {}, time.time())


def test_before_the_first_run(tmp_path: Path) -> None:
    assert canary(tmp_path) == ("canary", "has said nothing yet: see its timer", State.WARNING)
    assert deep(tmp_path) == ("nightly", "has not run yet", State.OK)


def test_the_canary_is_quoted_until_it_falls_silent(tmp_path: Path) -> None:
    gave_up = Result("canary", State.CRITICAL, "gave up, 3 restarts did not help")
    verdict.remember(tmp_path / screen.CANARY, [gave_up], {})
    assert canary(tmp_path, 130) == ("canary", "gave up, 3 restarts did not help, 2 min ago", State.CRITICAL)
    verdict.remember(tmp_path / screen.CANARY, [OK], {})
    assert canary(tmp_path, 60).state is State.OK
    line = canary(tmp_path, 301)
    assert line.state is State.WARNING and line.words.startswith("silent, it last looked 5 min")


def test_nights(tmp_path: Path) -> None:
    night(tmp_path, OK, LIMIT)
    night(tmp_path, OK, BROKEN, LIMIT)
    line = deep(tmp_path, 120)
    assert line.state is State.CRITICAL
    assert (
        line.words
        == "critical 2 min ago, 3 cases; chat-named: no tool call, and 1 more; nights before: warning"
    )
    night(tmp_path, OK, LIMIT)
    assert deep(tmp_path).state is State.OK, "a known limit is no news"
    assert "warning" in deep(tmp_path).words


def test_a_run_that_was_cut_off_leaves_no_good_verdict(tmp_path: Path) -> None:
    night(tmp_path, OK)
    verdict.forget(tmp_path / screen.DEEP)
    line = deep(tmp_path)
    assert line.state is State.WARNING and "was cut off" in line.words


def test_a_history_that_is_none(tmp_path: Path) -> None:
    (tmp_path / screen.HISTORY).write_text("garbage " * 100)
    assert deep(tmp_path).state is State.UNKNOWN
