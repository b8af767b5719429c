"""Past runs of the deep probe: kept, bounded, and never lost to one that could not be written."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from python_checks.core.result import Result, State
from python_checks.report import history

GOOD = Result("chat-auto", State.OK, "get_weather")
BAD = Result("chat-none", State.WARNING, "답이 없음")


def test_runs_come_back_newest_first(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    assert history.recent(path, 5) == [] and not path.exists()
    history.record(path, [GOOD], {"vllm": "1-a"}, 1000.0)
    history.record(path, [GOOD, BAD], {"vllm": "1-b"}, 2000.0)
    newest, oldest = history.recent(path, 5)
    assert newest == (2000.0, State.WARNING, {"vllm": "1-b"}, {"chat-none": "답이 없음"})
    assert oldest == (1000.0, State.OK, {"vllm": "1-a"}, {})
    assert history.recent(path, 1) == [newest]


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT", 3)
    for second in range(10):
        history.record(tmp_path / "h", [GOOD], {}, float(second))
    with closing(sqlite3.connect(tmp_path / "h")) as base:
        assert [time for (time,) in base.execute("SELECT time FROM runs")] == [7.0, 8.0, 9.0]


def test_a_broken_file_is_an_error_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "h"
    path.write_text("no database, but long enough to be taken for one" * 20)
    for action in (lambda: history.recent(path, 1), lambda: history.record(path, [GOOD], {}, 1.0)):
        with pytest.raises(sqlite3.Error):
            action()
    assert path.read_text().startswith("no database")
