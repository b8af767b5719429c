"""Progress is said when it changes, and again after a while."""

import pytest

from python_checks.core import throttle
from python_checks.core.throttle import REPEAT, Throttle


def test_what_changes_is_said_at_once_and_what_stays_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(throttle.time, "monotonic", lambda: now[0])
    progress, said = Throttle(), []
    for seconds, words in (
        (0, "loading"),
        (1, "loading"),
        (1, "warming up"),
        (REPEAT - 0.1, "warming up"),
        (0.1, "warming up"),
    ):
        now[0] += seconds
        said.append(progress.tell(words, f" ({now[0] - 100:g} s)"))
    assert said == [True, False, True, False, True]
    assert capsys.readouterr().err == "loading (0 s)\nwarming up (2 s)\nwarming up (7 s)\n"
